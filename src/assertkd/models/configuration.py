"""The configuration of a pretrained model: what its files say, and what of it counts here."""

import logging
from collections.abc import Mapping
from pathlib import Path

from transformers import AutoConfig, GenerationConfig, PreTrainedConfig, PreTrainedTokenizerFast
from transformers.utils import cached_file

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.distillable import DistillableModel
from assertkd.models.gguf import is_gguf
from assertkd.models.hub import located
from assertkd.models.loading import loading
from assertkd.models.model_folder import input_length, local_folder, output_length, read_config, read_object
from assertkd.models.special_tokens import END, PAD, START, named_tokens, special_tokens
from assertkd.models.vocabulary import kept_entries

NO_MODEL = "no model could be loaded"

WITHOUT_EFFECT = (None, 0, 1)
"""Values with which transformers' options of decoding change nothing; true is none of them."""
NOT_OF_DECODING = {PAD, END, START, "bos_token_id", "max_length", "max_new_tokens", "use_cache", "transformers_version"}
"""Keys of a `generation_config.json` that decide no token."""

log = logging.getLogger(__name__)


def load_configuration(
    name: str | Path,
    families: Mapping[str, type[DistillableModel]],
    tokenizer: PreTrainedTokenizerFast | None = None,
    *,
    called: str | None = None,
    only_local: bool = False,
) -> PreTrainedConfig:
    """Return a model's configuration with the special tokens that count (see `special_tokens`).

    Whatever else its files say of decoding is not used, since the settings decide it; with a tokenizer, a warning names
    it.

    Args:
        name: hub name or folder.
        families: by the values of `model_type` that are known.
        tokenizer: that the model is used with; None where only its weights or sizes are.
        called: the model's name in an error, where it is not `name`.
        only_local: whether nothing may be fetched.

    Raises:
        UserError: there is no model, it is damaged or of no family, or the tokenizer does not fit it.
    """
    called = called or str(name)
    with loading(called, NO_MODEL):
        source = str((local_folder(name) if is_gguf(name) else None) or name) if only_local else located(name)
        files = ModelLayout(Path(source))
        if files.folder.is_dir():
            plain = read_config(files.folder)
            generation = read_object(files.generation_config) if files.generation_config.is_file() else {}
            # Their faults are said before anything is loaded.
            input_length(files.folder)
            output_length(files.folder)
        else:
            plain = read_object(Path(cached_file(source, files.config.name, local_files_only=only_local)))
            found = cached_file(
                source,
                files.generation_config.name,
                local_files_only=only_local,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
            generation = read_object(Path(found)) if found is not None else {}
        if plain.get("model_type") not in families:
            raise UserError(
                f"{called}: is a {plain.get('model_type')!r} model, neither of the T5 family, nor CodeT5+, nor a "
                "decoder-only model that transformers has",
                "Use T5, CodeT5, CodeT5+, or a decoder-only model as Qwen2.5-Coder. Code that models bring is not run.",
            )
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            source, trust_remote_code=False, local_files_only=only_local
        )
        families[config.model_type].check_config(called, config)
        # What its files name are ids of the whole vocabulary, where it is about to be cut.
        kept = None if tokenizer is None else kept_entries(tokenizer)
        is_cut = kept is not None and config.vocab_size > len(kept)
        new_ids = {former: number for number, former in enumerate(kept)} if is_cut and kept is not None else None
        named = tuple(
            named_tokens(called, file.name, content, new_ids)
            for file, content in ((files.generation_config, generation), (files.config, plain))
        )
        for key, value in special_tokens(called, named, tokenizer).items():
            setattr(config, key, value)
    if tokenizer is None:
        return config
    if config.vocab_size < len(tokenizer):
        raise UserError(
            f"{called}: has {config.vocab_size} vocabulary entries, the tokenizer has {len(tokenizer)}",
            "Give the run a tokenizer that fits (tokenizer.name), or another model.",
        )
    options = GenerationConfig().to_dict().keys() - NOT_OF_DECODING
    said = {key: value for key, value in (plain | generation).items() if key in options}
    if ignored := [
        key for key, value in said.items() if key[0] != "_" and (value is True or value not in WITHOUT_EFFECT)
    ]:
        log.warning("%s: its own %s has no effect: the settings decide how it writes", called, ", ".join(ignored))
    return config
