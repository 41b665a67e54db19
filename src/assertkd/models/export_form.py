"""The form of an exported model: what its folder holds, and how it is opened, without torch or transformers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assertkd.errors import UserError
from assertkd.files import read_json, write_json

if TYPE_CHECKING:
    from ctranslate2 import Translator

DESCRIPTION = "export.json"
"""Stands in every export; `is_export` looks for it."""

TOKENIZER = "tokenizer"
"""The tokenizer's folder in an export. Not the export's own, since both have a `config.json`."""

REMEDY = "Export the model again: assertkd export STUDENT FOLDER."


@dataclass(frozen=True, slots=True)
class ExportDescription:
    """What an export is.

    Attributes:
        format: `ctranslate2`.
        quantization: `float32` or `int8`.
        compute_type: `float32` or `int8`: what it computes in, whatever its weights are stored in.
        parameters: weights of the model, shared ones counted once.
        max_input_len: longest input that the model was trained for, in tokens.
        max_output_len: longest output likewise.
        eos_token_id: the tokenizer's end token.
        source: the model's folder.
    """

    format: str
    quantization: str
    compute_type: str
    parameters: int
    max_input_len: int
    max_output_len: int
    eos_token_id: int
    source: str

    def write(self, folder: Path) -> None:
        """Write `export.json`; done last, so that a folder that has it is whole."""
        write_json(folder / DESCRIPTION, asdict(self))


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an exported model."""
    return (folder / DESCRIPTION).is_file()


def describe_export(folder: Path) -> ExportDescription:
    """Return what an export says of itself.

    Raises:
        UserError: the folder holds none, or a damaged one.
    """
    if not is_export(folder):
        raise UserError(f"{folder}: holds no exported model ({DESCRIPTION} is missing)", REMEDY)
    try:
        return ExportDescription(**read_json(folder / DESCRIPTION))
    except (TypeError, ValueError) as fault:
        raise UserError(f"{folder / DESCRIPTION}: does not describe an export ({fault})", REMEDY) from None


def open_export(folder: Path, threads: int = 1) -> "Translator":
    """Return the export as CTranslate2 runs it, on so many threads of the CPU.

    Raises:
        UserError: the folder holds no export, or a damaged one.
    """
    description = describe_export(folder)
    # Imported where it is used, since it takes long.
    import ctranslate2

    try:
        return ctranslate2.Translator(
            str(folder), device="cpu", compute_type=description.compute_type, intra_threads=threads
        )
    except (ValueError, RuntimeError) as fault:
        raise UserError(f"{folder}: the export could not be loaded ({fault})", REMEDY) from None
