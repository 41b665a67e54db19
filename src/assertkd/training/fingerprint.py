"""What a training is made from, so that a checkpoint of another training is not continued by mistake."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
    update_with_weights(digest, model.weights().items())
    return digest.hexdigest()


def differences(former: Fingerprint, present: Fingerprint) -> list[str]:
    """Return a phrase for everything that differs, settings before checksums."""
    phrases = []
    for key in dict.fromkeys([*present, *former]):
        before, now = former.get(key), present.get(key)
        if before == now:
            continue
        if key.startswith("file ") or key == "initial weights":
            phrases.append(f"{key} changed")
        else:
            phrases.append(f"{key} was {before}, is {now}")
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
