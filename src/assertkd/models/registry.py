"""Model families by the `model_type` of their configuration, and models by name."""

from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.distillable import DistillableModel, ModelShape
from assertkd.models.hub import located, unloadable
from assertkd.models.t5.model import T5Model
from assertkd.settings import ModelSettings
from assertkd.settings.model import SCRATCH

FAMILIES: dict[str, type[DistillableModel]] = {
    "t5": T5Model,
}

SCRATCH_FAMILY = "t5"
"""Family of the models that are built from sizes."""


def load_model(name: str | Path, dropout: float = 0.0) -> DistillableModel:
    """Return the model of a hub name or folder, in float32.

    Raises:
        UserError: there is none, or it is of no family in `FAMILIES`.
    """
    config = _load_config(name)
    return _family(name, config).from_pretrained(name, config, dropout)


def build_model(settings: ModelSettings, tokenizer: PreTrainedTokenizerFast, dropout: float) -> DistillableModel:
    """Return the model that `settings` name, ready to train with `tokenizer`.

    Random weights come from torch's global generator, so seed it first.

    Args:
        settings: a hub name, a folder or sizes.
        tokenizer: the run's tokenizer; its ids must fit the model's vocabulary.
        dropout: dropout rate of every layer in training.

    Raises:
        UserError: the model is missing, of no family in `FAMILIES`, or has fewer vocabulary entries than the tokenizer.
    """
    if settings.name == SCRATCH:
        family = FAMILIES[SCRATCH_FAMILY]
        config = family.scratch_config(settings.scratch, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
        return family.from_config(config, dropout)
    model = load_model(settings.name, dropout)
    if model.vocab_size < len(tokenizer):
        raise UserError(
            f"{settings.name}: has {model.vocab_size} vocabulary entries, the tokenizer has {len(tokenizer)}",
            "Give the run a tokenizer that fits (tokenizer.name), or another model.",
        )
    return model


def random_model(settings: ModelSettings, vocab_size: int, *, only_local: bool = False) -> DistillableModel:
    """Return a model of the sizes that `settings` name, with random weights and no dropout.

    Args:
        settings: a hub name, a folder or sizes. The weights of a hub name are not fetched.
        vocab_size: entries of the tokenizer, for a model of sizes.
        only_local: whether a configuration must be on this machine already.

    Raises:
        UserError: the configuration cannot be read, or is of no family in `FAMILIES`.
    """
    family, config = _configuration(settings, vocab_size, only_local)
    return family.from_config(config, 0.0)


def shape_and_parameter_count(
    settings: ModelSettings, vocab_size: int, *, only_local: bool = False
) -> tuple[ModelShape, int]:
    """Return the sizes and the number of weights of what `random_model` returns; nothing of its size is built."""
    family, config = _configuration(settings, vocab_size, only_local)
    with torch.device("meta"):
        return family.shape_of(config), parameter_count(family.from_config(config, 0.0))


def vocab_size(name: str | Path) -> int | None:
    """Return the vocabulary entries of a hub name or folder, None for `scratch` and where no configuration is here."""
    if name == SCRATCH:
        return None
    try:
        if isinstance(name, Path):
            config = _load_config(name, only_local=True)
        else:
            _, config = _configuration(ModelSettings(name=name), 0, only_local=True)
    except UserError:
        return None
    return int(config.vocab_size)


def parameter_count(model: nn.Module) -> int:
    """Return the number of weights, shared ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def weights_file(folder: Path) -> Path:
    """Return the file in a trained model's folder that changes with its weights: them, or the index of their parts.

    Raises:
        UserError: the folder holds none.
    """
    files = ModelLayout(folder)
    for file in (files.weights, files.weights_index):
        if file.is_file():
            return file
    raise UserError(f"{folder}: holds no model.safetensors", "Rerun `train_teacher`.")


def _configuration(
    settings: ModelSettings, vocab_size: int, only_local: bool
) -> tuple[type[DistillableModel], PreTrainedConfig]:
    if settings.name == SCRATCH:
        family = FAMILIES[SCRATCH_FAMILY]
        return family, family.scratch_config(settings.scratch, vocab_size)
    for family in FAMILIES.values():
        if settings.name in family.published:
            return family, family.published[settings.name]
    config = _load_config(settings.name, only_local)
    return _family(settings.name, config), config


def _load_config(name: str | Path, only_local: bool = False) -> PreTrainedConfig:
    try:
        source = str(name) if only_local else located(name)
        return AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=only_local)
    except (OSError, ValueError, KeyError) as fault:
        raise unloadable(name, "no model could be loaded", fault) from fault


def _family(name: str | Path, config: PreTrainedConfig) -> type[DistillableModel]:
    if config.model_type not in FAMILIES:
        raise UserError(
            f"{name}: is a {config.model_type!r} model, not of a family that can be taught ({', '.join(FAMILIES)})",
            "Use T5, CodeT5 or CodeT5+ (220M or 770M); larger CodeT5+ models bring their own code, which is not run.",
        )
    return FAMILIES[config.model_type]
