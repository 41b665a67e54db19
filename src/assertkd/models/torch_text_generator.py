"""Text from models in the transformers form, or in whichever form a folder holds."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from assertkd.models.decoding import evaluation_mode, pad_sequences
from assertkd.models.distillable import DistillableModel
from assertkd.models.exported import ExportedModel, is_export
from assertkd.models.registry import load_model, parameter_count
from assertkd.models.text_generator import TextGenerator
from assertkd.models.tokenizer import load_tokenizer


class TorchTextGenerator(TextGenerator):
    """A model in the transformers form, on a device, in evaluation mode when it generates."""

    tokenizer: PreTrainedTokenizerFast

    def __init__(
        self, model: DistillableModel, tokenizer: PreTrainedTokenizerFast, device: torch.device | str = "cpu"
    ) -> None:
        self.model = model.to(device)
        self.tokenizer = tokenizer
        self.parameters = parameter_count(model)

    def generate_batch(self, batch: Sequence[Sequence[int]], max_new_tokens: int, num_beams: int) -> list[str]:
        """Return the texts of a batch."""
        input_ids, mask = (t.to(self.model.device) for t in pad_sequences(batch, self.model.pad_token_id))
        with evaluation_mode(self.model):
            outputs = self.model.generate(input_ids, mask, max_new_tokens, num_beams)
        return list(self.tokenizer.batch_decode(outputs.tolist(), skip_special_tokens=True))


def load_text_generator(folder: Path, device: torch.device) -> TorchTextGenerator | ExportedModel:
    """Return the model of a `final_model/`, a hub name or an export; the last always computes on the CPU.

    Raises:
        UserError: there is none.
    """
    if is_export(folder):
        return ExportedModel(folder, torch.get_num_threads())
    tokenizer = load_tokenizer(folder)
    return TorchTextGenerator(load_model(folder, tokenizer=tokenizer).eval(), tokenizer, device)
