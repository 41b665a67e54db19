"""Models that generate text for inputs, in whichever form they are saved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from transformers import PreTrainedTokenizerFast

from assertkd.models.batched_by_length import generate_by_length
from assertkd.models.decoding import evaluation_mode, pad_sequences
from assertkd.models.distillable import DistillableModel
from assertkd.models.exported import ExportedModel, is_export
from assertkd.models.registry import load_model, parameter_count
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import PromptTokenizer


class TextGenerator(Protocol):
    """A model that generates text.

    Attributes:
        parameters: weights, shared ones counted once.
    """

    parameters: int

    @property
    def tokenizer(self) -> PromptTokenizer:
        """Its tokenizer."""
        ...

    def generate(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return the text for every input, in the order of the inputs, special tokens left out, stripped.

        Inputs of like length share a batch, so that little of it is padding.

        Args:
            encoded_inputs: token ids of every input, the end token included, unpadded, of any length from 1.
            batch_size: inputs that are decoded together.
            max_new_tokens: longest output, the end token included.
            num_beams: 1 decodes greedily, more by beam search.
            progress: called after every batch with the number of inputs that are done.
        """
        ...


class TorchTextGenerator:
    """A model in the transformers form, on a device, in evaluation mode when it generates."""

    def __init__(
        self, model: DistillableModel, tokenizer: PreTrainedTokenizerFast, device: torch.device | str = "cpu"
    ) -> None:
        self.model = model.to(device)
        self.tokenizer = tokenizer
        self.parameters = parameter_count(model)
        self.device = device

    @classmethod
    def load(cls, folder: Path | str, device: torch.device | str = "cpu") -> "TorchTextGenerator":
        """Return the model of a hub name or folder.

        Raises:
            UserError: there is none.
        """
        model = load_model(folder).eval()
        return cls(model, load_tokenizer(folder), device)

    def generate(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return the text for every input; see `TextGenerator`."""

        def generate_batch(batch: Sequence[Sequence[int]]) -> list[str]:
            input_ids, attention_mask = (t.to(self.device) for t in pad_sequences(batch, self.model.pad_token_id))
            outputs = self.model.generate(input_ids, attention_mask, max_new_tokens, num_beams)
            return list(self.tokenizer.batch_decode(outputs.tolist(), skip_special_tokens=True))

        with evaluation_mode(self.model):
            return generate_by_length(encoded_inputs, batch_size, generate_batch, progress)


def load_text_generator(folder: Path, device: torch.device) -> TorchTextGenerator | ExportedModel:
    """Return the model of a `final_model/` or of an export; the latter always computes on the CPU.

    Raises:
        UserError: there is none.
    """
    if is_export(folder):
        return ExportedModel(folder, torch.get_num_threads())
    return TorchTextGenerator.load(folder, device)
