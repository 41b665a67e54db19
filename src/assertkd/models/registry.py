"""Model families by the `model_type` of their configuration, and models by name."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.causal import architectures
from assertkd.models.causal.model import CausalModel
from assertkd.models.codet5p.model import CodeT5pModel
from assertkd.models.configuration import NO_MODEL, load_configuration
from assertkd.models.distillable import DistillableModel, ModelShape
from assertkd.models.hub import check_fetchable
from assertkd.models.loading import loading
from assertkd.models.model_folder import FAILURE, TOKENIZER_FILES, check_weights, local_folder
from assertkd.models.network import keep_entries
from assertkd.models.t5.model import T5Model
from assertkd.models.tokenizer import SENTINELS, load_tokenizer
from assertkd.models.vocabulary import kept_entries, whole_vocabulary
from assertkd.settings import ModelSettings
from assertkd.settings.model import SCRATCH, LoraSettings

FAMILIES: dict[str, type[DistillableModel]] = {
    **dict.fromkeys(architectures.NAMES, CausalModel),
    "t5": T5Model,
    "codet5p": CodeT5pModel,
}

SCRATCH_FAMILIES: dict[str, type[DistillableModel]] = {"t5": T5Model, "causal": CausalModel}
"""Families of the models that are built from sizes, by their name in the settings."""

PADDED_TO = 128
"""Vocabularies are padded to a multiple of this at most."""

log = logging.getLogger(__name__)


def load_model(
    name: str | Path, dropout: float = 0.0, tokenizer: PreTrainedTokenizerFast | None = None
) -> DistillableModel:
    """Return the model of a hub name or folder, in float32; of its options of decoding it keeps the special tokens.

    Args:
        name: hub name or folder.
        dropout: dropout rate of every layer in training.
        tokenizer: that the model is used with; None where only its weights are used.

    Raises:
        UserError: there is none, it is of no family in `FAMILIES`, or the tokenizer does not fit it.
    """
    config = load_configuration(name, FAMILIES, tokenizer)
    return FAMILIES[config.model_type].from_pretrained(name, config, dropout)


def build_model(
    settings: ModelSettings, tokenizer: PreTrainedTokenizerFast, dropout: float, entries: int | None = None
) -> DistillableModel:
    """Return the model that `settings` name, ready to train with `tokenizer`.

    Random weights come from torch's global generator, so seed it first. Of a vocabulary that is larger, as those that
    are padded to a multiple of 128, the entries beyond are cut off, so that all models of a run have the same.

    Args:
        settings: a hub name, a folder or sizes.
        tokenizer: the run's tokenizer; its ids must mean the same tokens as the model's.
        dropout: dropout rate of every layer in training.
        entries: vocabulary entries that are kept; None for the tokenizer's.

    Raises:
        UserError: the model is missing, of no family in `FAMILIES`, or made for another tokenizer.
    """
    entries = max(entries or 0, len(tokenizer))
    if settings.name == SCRATCH:
        family = SCRATCH_FAMILIES[settings.scratch.family]
        config = family.scratch_config(settings.scratch, entries, tokenizer.pad_token_id, tokenizer.eos_token_id)
        return family.from_config(config, dropout)
    config = load_configuration(settings.name, FAMILIES, tokenizer)
    cut = _check_own_tokenizer(settings.name, config.vocab_size, tokenizer)
    model = FAMILIES[config.model_type].from_pretrained(settings.name, config, dropout)
    kept: Sequence[int] = range(entries) if cut is None else cut
    if model.vocab_size > len(kept):
        log.info("%s: %d vocabulary entries, of which %d are kept", settings.name, model.vocab_size, len(kept))
        keep_entries(model.network, kept)
    return model


def check_model(name: str, tokenizer: PreTrainedTokenizerFast | None) -> None:
    """Refuse a model that `build_model` would refuse, as far as that can be known before; no weights are read.

    Args:
        name: hub name or folder.
        tokenizer: the run's; None where it is not known yet.

    Raises:
        UserError: see `build_model`.
    """
    folder = local_folder(name)
    if folder is None:
        check_fetchable(name, NO_MODEL)
        return
    config = load_configuration(folder, FAMILIES, tokenizer, called=name)
    if tokenizer is not None:
        _check_own_tokenizer(name, config.vocab_size, tokenizer)
    with loading(name, FAILURE), torch.device("meta"):
        check_weights(name, folder, FAMILIES[config.model_type].architecture_of(config)(config))


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
    with loading(settings.name, NO_MODEL):
        return family.from_config(config, 0.0)


def shape_and_parameter_count(
    settings: ModelSettings, vocab_size: int, *, only_local: bool = False
) -> tuple[ModelShape, int]:
    """Return the sizes and the number of weights of what `random_model` returns; nothing of its size is built."""
    family, config = _configuration(settings, vocab_size, only_local)
    with loading(settings.name, NO_MODEL), torch.device("meta"):
        return family.shape_of(config), parameter_count(family.from_config(config, 0.0))


def adapter_parameter_count(
    settings: ModelSettings, vocab_size: int, adapters: LoraSettings, *, only_local: bool = False
) -> int:
    """Return the number of weights of the adapters beside what `random_model` returns; nothing of its size is built."""
    family, config = _configuration(settings, vocab_size, only_local)
    with loading(settings.name, NO_MODEL), torch.device("meta"):
        model = family.from_config(config, 0.0)
        model.add_adapters(adapters)
        return sum(weight.numel() for weight in model.trained_weights().values())


def vocab_size(name: str | Path) -> int | None:
    """Return the vocabulary entries of a hub name or folder, None for `scratch` and where no configuration is here."""
    if name == SCRATCH:
        return None
    try:
        if isinstance(name, Path):
            config = load_configuration(name, FAMILIES, only_local=True)
        else:
            _, config = _configuration(ModelSettings(name=name), 0, only_local=True)
    except UserError:
        return None
    return int(config.vocab_size)


def has_encoder(settings: ModelSettings) -> bool | None:
    """Return whether the model that `settings` name has an encoder; None where no configuration is here."""
    try:
        return _configuration(settings, 0, only_local=True)[0].has_encoder
    except UserError:
        return None


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
        family = SCRATCH_FAMILIES[settings.scratch.family]
        return family, family.scratch_config(settings.scratch, vocab_size)
    for family in FAMILIES.values():
        if settings.name in family.published:
            return family, family.published[settings.name]
    config = load_configuration(settings.name, FAMILIES, only_local=only_local)
    return FAMILIES[config.model_type], config


def _check_own_tokenizer(name: str, vocab_size: int, tokenizer: PreTrainedTokenizerFast) -> Sequence[int] | None:
    """Refuse a model whose own tokenizer has other tokens at the same ids; without one its size has to be the run's.

    Returns:
        The model's ids for the entries of a tokenizer that was cut from its own; None where they are the same.
    """
    folder, kept = local_folder(name), kept_entries(tokenizer)
    if folder is None or not any((folder / file).is_file() for file in TOKENIZER_FILES):
        whole = whole_vocabulary(tokenizer)
        if kept is not None and whole <= vocab_size < whole + PADDED_TO:
            return kept
        if vocab_size >= len(tokenizer) + PADDED_TO:
            raise UserError(
                f"{name}: has {vocab_size} vocabulary entries, the tokenizer {len(tokenizer)}, and no tokenizer of its "
                "own to compare",
                "Choose a model of the run's tokenizer, or add the model's own tokenizer to its folder.",
            )
        return None
    own, expected = (
        {number: token for token, number in one.get_vocab().items()} for one in (load_tokenizer(folder), tokenizer)
    )
    if kept is not None and len(own) > len(expected):
        own = {place: own.get(number, "") for place, number in enumerate(kept)}
    else:
        kept = None
    # The sentinels of CodeT5's releases are in different orders, and the training teaches the one that is used.
    different = [
        number
        for number in sorted(own.keys() & expected.keys())
        if own[number] != expected[number] and not {own[number], expected[number]} <= {*SENTINELS}
    ]
    if different:
        first = different[0]
        raise UserError(
            f"{name}: was made for another tokenizer: {len(different)} of its {len(own)} tokens are others than the "
            f"run's, the first {own[first]!r} for {expected[first]!r} (id {first})",
            "Choose a model of the run's tokenizer, or set tokenizer.name to one that all models of the run have.",
        )
    return kept
