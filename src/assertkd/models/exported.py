"""Models in the form of CTranslate2: small, quick on CPUs, and without torch when they run."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.files import read_json, write_json
from assertkd.models.like_lengths import write_by_length
from assertkd.models.tokenizer import load_tokenizer

DESCRIPTION = "export.json"
"""Stands in every export; `is_export` looks for it."""

TOKENIZER = "tokenizer"
"""The tokenizer's folder in an export. Not the export's own, since both have a `config.json`."""


@dataclass(frozen=True, slots=True)
class ExportDescription:
    """What an export is.

    Attributes:
        format: `ctranslate2`.
        quantization: `float32` or `int8`.
        compute_type: `float32` or `int8`: what it computes in, whatever its weights are stored in.
        parameters: weights of the model, shared ones counted once.
        source: the model's folder.
    """

    format: str
    quantization: str
    compute_type: str
    parameters: int
    source: str

    def write(self, folder: Path) -> None:
        """Write `export.json`; done last, so that a folder that has it is whole."""
        write_json(folder / DESCRIPTION, asdict(self))


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an exported model."""
    return (folder / DESCRIPTION).is_file()


class ExportedModel:
    """An exported model and its tokenizer.

    Args:
        folder: the export.
        threads: that compute.

    Raises:
        UserError: the folder holds no export, or a damaged one.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import ctranslate2

        remedy = "Export the model again: assertkd export STUDENT FOLDER."
        if not is_export(folder):
            raise UserError(f"{folder}: holds no exported model ({DESCRIPTION} is missing)", remedy)
        try:
            self.description = ExportDescription(**read_json(folder / DESCRIPTION))
            self._translator = ctranslate2.Translator(
                str(folder), device="cpu", compute_type=self.description.compute_type, intra_threads=threads
            )
        except (TypeError, ValueError, RuntimeError) as fault:
            raise UserError(f"{folder}: the export could not be loaded ({fault})", remedy) from None
        self.tokenizer: PreTrainedTokenizerFast = load_tokenizer(folder / TOKENIZER)

    def generate_texts(
        self,
        encoded_inputs: Sequence[Sequence[int]],
        *,
        batch_size: int,
        max_new_tokens: int,
        num_beams: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> list[str]:
        """Return what the model writes for every input; see `assertkd.models.generation.generate_texts`."""

        def write(batch: Sequence[Sequence[int]]) -> list[str]:
            written = self._translator.translate_batch(
                [self.tokenizer.convert_ids_to_tokens(list(one)) for one in batch],
                beam_size=num_beams,
                max_decoding_length=max_new_tokens,
                max_input_length=0,
                max_batch_size=batch_size,
            )
            ids = [self.tokenizer.convert_tokens_to_ids(one.hypotheses[0]) for one in written]
            return list(self.tokenizer.batch_decode(ids, skip_special_tokens=True))

        return write_by_length(encoded_inputs, batch_size, write, progress)
