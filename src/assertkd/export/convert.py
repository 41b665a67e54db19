"""From a `final_model/` to the form of CTranslate2."""

import shutil
from pathlib import Path
from typing import Literal

from assertkd.errors import UserError
from assertkd.models.export_form import DESCRIPTION, TOKENIZER, ExportDescription
from assertkd.models.length_limits import limits_of
from assertkd.models.t5.model import load_model, parameter_count
from assertkd.models.tokenizer import load_tokenizer, save_tokenizer

Quantization = Literal["int8", "float32"]

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
        UserError: there is no T5 model, CTranslate2 cannot express it, or the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / DESCRIPTION).is_file():
        raise UserError(f"{folder}: is no export, and not empty", "Name another folder.")
    tokenizer, model = load_tokenizer(model_folder), load_model(model_folder)
    if bool(model.config.scale_decoder_outputs) != bool(model.config.tie_word_embeddings):
        raise UserError(
            f"{model_folder}: scales its decoder's outputs against T5's custom (with tied embeddings, and only then)",
            "CTranslate2 cannot express such a model: use it in the transformers form.",
        )
    # Imported where it is used, since it takes long.
    from ctranslate2.converters import TransformersConverter

    making = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    making.parent.mkdir(parents=True, exist_ok=True)
    try:
        TransformersConverter(str(model_folder)).convert(str(making), quantization=quantization)
        save_tokenizer(tokenizer, making / TOKENIZER)
        compute_type = "float32" if model.config.d_model < NARROW else quantization
        limits = limits_of(model_folder)
        ExportDescription(
            format="ctranslate2",
            quantization=quantization,
            compute_type=compute_type,
            parameters=parameter_count(model),
            max_input_len=limits.input,
            max_output_len=limits.output,
            eos_token_id=int(tokenizer.eos_token_id),
            source=str(model_folder),
        ).write(making)
        if folder.exists():
            shutil.rmtree(folder)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
