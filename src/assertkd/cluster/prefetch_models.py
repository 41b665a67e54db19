"""Fetches all that a run takes from the hub, and shows that it loads."""

import logging
import os
from pathlib import Path

from huggingface_hub import constants

from assertkd.cluster.params import PrefetchModelsParams
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.models.gguf import convert_gguf, is_gguf
from assertkd.models.hub import fetch
from assertkd.models.registry import load_model, parameter_count
from assertkd.models.tokenizer import load_tokenizer

log = logging.getLogger(__name__)


def prefetch_models(params: PrefetchModelsParams) -> None:
    """Fetch what is named into the hub's cache, verify it, load it once, and print what is there.

    Names that are folders are not fetched.

    Raises:
        UserError: something cannot be fetched, is damaged, or is not what it is used as.
    """
    _say(f"HF_HOME: {constants.HF_HOME}")
    if "HF_HOME" not in os.environ:
        _say("HF_HOME is not set: where home is small, put `export HF_HOME=/scratch/$USER/huggingface` into ~/.bashrc")
    for name in params.models:
        folder = _here(name)
        _say(f"model {name}: {parameter_count(load_model(folder)) / 1e6:.1f}M parameters, {_size(folder)}, {folder}")
    for name in params.tokenizers:
        folder = _here(name)
        _say(f"tokenizer {name}: {len(load_tokenizer(folder))} entries, {folder}")
    for name in params.encoders:
        if name == PACKAGED:
            TextEncoder(name)
            _say(f"encoder {name}: comes with its package")
            continue
        folder = _here(name)
        _say(f"encoder {name}: {TextEncoder(folder).dimension} dimensions, {_size(folder)}, {folder}")
    if not (params.models or params.tokenizers or params.encoders):
        _say("The run takes nothing from the hub.")


def _here(name: str) -> Path:
    if is_gguf(name):
        return convert_gguf(name)
    return Path(name) if Path(name).is_dir() else fetch(name)


def _size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"


def _say(words: str) -> None:
    log.info("%s", words)
    print(words, flush=True)
