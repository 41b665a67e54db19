"""What a training is made from: to repeat it, and so that a checkpoint of another is not continued by mistake."""

import hashlib
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic_core import to_jsonable_python

from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.models.distillable import DistillableModel
from assertkd.models.weights_digest import update_with_weights

WITHOUT_EFFECT = frozenset(
    f"training.{name}" for name in ("num_workers", "pin_memory", "checkpoint_every", "on_checkpoint_mismatch")
)
"""Settings that change no weight: a training goes on with others."""

Fingerprint = dict[str, Any]
"""What decides a training's weights: dotted key to JSON value."""

PACKAGES = ("assertkd", "torch", "transformers", "tokenizers", "numpy", "safetensors")


@dataclass(frozen=True)
class Recipe:
    """How a model was asked for: enough to train it again where its inputs are the same.

    Attributes:
        stage: `pretrain`, `teacher` or `student`.
        settings: the stage's settings, as JSON values.
        inputs: name to path of what the stage reads.
        config: the configuration of the whole run, for information.
    """

    stage: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    config: Mapping[str, Any] | None = None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def git_commit() -> str | None:
    """Return the commit that the code stands at, `+changes` behind it where files differ, or None outside git."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        changes = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + changes
    except (OSError, subprocess.SubprocessError):
        return None


def machine(device: torch.device) -> dict[str, Any]:
    """Return the device, its name and the threads that torch computes with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads(), "host": platform.node()}


def fingerprint(settings: Mapping[str, Any], files: Iterable[Path], model: DistillableModel) -> Fingerprint:
    """Return what decides a training: its settings by dotted key, its files' and its initial weights' checksums."""
    settings_by_key = {
        key: value for key, value in _flat(to_jsonable_python(settings), "") if key not in WITHOUT_EFFECT
    }
    files_by_name = {f"file {path}": sha256_of_file(path) for path in files}
    return settings_by_key | files_by_name | {"initial weights": weights_checksum(model)}


def weights_checksum(model: DistillableModel) -> str:
    """Return the SHA-256 over the names and values of a model's weights, in hexadecimal."""
    digest = hashlib.sha256()
    update_with_weights(digest.update, model.weights().items())
    return digest.hexdigest()


def differences(former: Fingerprint, present: Fingerprint) -> list[str]:
    """Return a phrase for everything that differs, settings before checksums."""
    phrases = []
    for key in dict.fromkeys([*present, *former]):
        before, now = former.get(key), present.get(key)
        if before != now:
            is_checksum = key.startswith("file ") or key == "initial weights"
            phrases.append(f"{key} changed" if is_checksum else f"{key} was {before}, is {now}")
    return phrases


def refuse_mismatch(folder: Path, former: Fingerprint, present: Fingerprint) -> None:
    """Refuse to continue a training that was made from something else.

    Raises:
        UserError: naming what differs, and how to start over.
    """
    phrases = differences(former, present)
    if phrases:
        raise UserError(
            f"{folder}: holds the checkpoint of another training: {'; '.join(phrases)}",
            f"To start over, remove it (rm -r '{folder}') or set training.on_checkpoint_mismatch: discard. "
            "To continue that training, undo what differs.",
        )


def _flat(value: Any, key: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
