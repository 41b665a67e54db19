"""Models that write assertions, in whichever form they are saved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.models.export_form import is_export
from assertkd.models.exported import ExportedModel
from assertkd.models.t5.generation import generate_texts
from assertkd.models.t5.model import load_model, parameter_count
from assertkd.models.tokenizer import load_tokenizer


class TextGenerator(Protocol):
    """A model that writes.

    Attributes:
        tokenizer: its tokenizer.
        parameters: weights, shared ones counted once.
    """

    tokenizer: PreTrainedTokenizerFast
    parameters: int

    def write(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return the text for every input; see `assertkd.models.t5.generation.generate_texts`."""
        ...


class TorchTextGenerator:
    """A model in the transformers form, on a device."""

    def __init__(
        self,
        model: T5ForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.parameters = parameter_count(model)
        self.device = device

    @classmethod
    def load(cls, folder: Path | str, device: torch.device | str = "cpu") -> "TorchTextGenerator":
        """Return the model of a hub name or folder.

        Raises:
            UserError: there is none.
        """
        return cls(load_model(folder), load_tokenizer(folder), device)

    def write(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return the text for every input."""
        return generate_texts(
            self.model,
            self.tokenizer,
            encoded_inputs,
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            num_beams=num_beams,
            device=self.device,
            progress=progress,
        )


class ExportedTextGenerator:
    """An exported model, on the CPU."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.exported = ExportedModel(folder, threads)
        self.tokenizer = self.exported.tokenizer
        self.parameters = self.exported.description.parameters
        self.write = self.exported.generate_texts


def load_text_generator(folder: Path, device: torch.device) -> TorchTextGenerator | ExportedTextGenerator:
    """Return the model of a `final_model/` or of an export; the latter always computes on the CPU.

    Raises:
        UserError: there is none.
    """
    if is_export(folder):
        return ExportedTextGenerator(folder, torch.get_num_threads())
    return TorchTextGenerator.load(folder, device)
