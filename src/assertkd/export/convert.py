"""From a `final_model/` to the form of CTranslate2."""

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from assertkd.errors import UserError
from assertkd.files import check_folder, write_json
from assertkd.models.exported import DESCRIPTION, TOKENIZER, ExportDescription, is_export
from assertkd.models.length_limits import limits_of
from assertkd.models.loading import loading
from assertkd.models.registry import load_model, parameter_count
from assertkd.models.tokenizer import load_tokenizer

Quantization = Literal["int8", "float32"]

IN_OWN_FORM = " Where only the conversion fails, use the model in the transformers form."

NARROW = 512
"""Models of a smaller width compute in float32 even where their weights are stored in 8 bits: to quantise their
activations costs more time than their small products save, and it costs accuracy."""


def convert(model_folder: Path, folder: Path, quantization: Quantization) -> None:
    """Write a model to `folder` in the form of CTranslate2.

    Args:
        model_folder: a `final_model/`.
        folder: must not exist, or hold an earlier export, which is replaced.
        quantization: `float32`, or `int8` for weights of 8 bits with a scale for each row.

    Raises:
        UserError: there is no model, CTranslate2 cannot express it, or the folder holds something else.
    """
    check_target(folder)
    with converted(model_folder, folder, quantization) as export:
        if folder.exists():
            shutil.rmtree(folder)
        export.rename(folder)


def check_target(folder: Path) -> None:
    """Refuse a folder that an export cannot be written to, and make the folders above it.

    Raises:
        UserError: it is a file, holds something else, or cannot be written to.
    """
    for path in (folder, folder.parent):
        check_folder(path, "Name another folder for the export.")
    if folder.exists() and any(folder.iterdir()) and not is_export(folder):
        raise UserError(f"{folder}: is no export, and not empty", "Name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def converted(model_folder: Path, folder: Path, quantization: Quantization) -> Iterator[Path]:
    """Make an export beside `folder`, under a temporary name; it is gone after the block unless it was renamed.

    Raises:
        UserError: there is no model, or CTranslate2 cannot express it.
    """
    tokenizer, limits = load_tokenizer(model_folder), limits_of(model_folder)
    model = load_model(model_folder, tokenizer=tokenizer)
    description = ExportDescription(
        format="ctranslate2",
        quantization=quantization,
        compute_type="float32" if model.hidden_size < NARROW else quantization,
        parameters=parameter_count(model),
        max_input_len=limits.input,
        max_output_len=limits.output,
        eos_token_id=int(tokenizer.eos_token_id),
        end_token_ids=tuple(model.end_token_ids.tolist()),
        decoder_only=not model.has_encoder,
        source=str(model_folder),
    )
    network = model.network_for_ctranslate2()
    # Imported where it is used, since it takes long.
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):  # type: ignore[misc]
        """Takes network and tokenizer as this package loads them."""

        def load_model(self, *_: Any, **__: Any) -> Any:
            return network

        def load_tokenizer(self, *_: Any, **__: Any) -> Any:
            if tokenizer.bos_token is not None or model.has_encoder:
                return tokenizer
            # It has to name some token; inputs begin with whatever their form says.
            named = copy.deepcopy(tokenizer)
            named.bos_token = tokenizer.eos_token
            return named

    with TemporaryDirectory(prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent) as temporary:
        # The temporary folder itself is closed to other users.
        export = Path(temporary, "export")
        with loading(model_folder, "CTranslate2 cannot express such a model", IN_OWN_FORM):
            Converter(str(model_folder)).convert(str(export), quantization=quantization)
        tokenizer.save_pretrained(str(export / TOKENIZER))
        write_json(export / DESCRIPTION, asdict(description))
        yield export
