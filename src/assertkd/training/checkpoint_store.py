"""Checkpoints on disk: whole or absent, checksummed, the last two kept; tensors as safetensors, all else as JSON."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from assertkd.files import sha256_of_file

KEPT = 2
"""Checkpoints that stay: the newest, and the one before in case the newest is damaged."""

STATE = "state.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint that was found whole: what `CheckpointStore.save` was given, and the folder where it lies."""

    step: int
    folder: Path
    state: dict[str, Any]
    growing: dict[str, int]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors that were saved under `name`, on the CPU; none where there were none."""
        path = self.folder / f"{name}.safetensors"
        loaded: dict[str, Tensor] = load_file(path) if path.exists() else {}
        return loaded


class CheckpointStore:
    """The checkpoints of one training, in a folder of their own.

    Each is a folder `step-<steps taken>` of safetensors files and `state.json`, which has their checksums and its own.
    It is written under another name, synced and renamed, so that a process that dies leaves the former ones intact. The
    caller sees to it that no other process uses the folder (`locking.held`). Files that grow, such as logs, may lie
    beside the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._done = folder.with_name(f".{folder.name}.done")
        for leftover in [*folder.glob(".step-*.partial"), self._done]:
            shutil.rmtree(leftover, ignore_errors=True)

    def save(
        self,
        step: int,
        tensors: Mapping[str, Mapping[str, Tensor]],
        state: Mapping[str, Any],
        growing: Mapping[str, int],
        files: Mapping[str, Path],
    ) -> None:
        """Write a checkpoint and remove all but the last `KEPT`.

        Args:
            step: optimizer steps taken.
            tensors: file name without ending to the tensors in it, by name.
            state: JSON values.
            growing: length in bytes of every file that is appended to, by its path below `folder`.
            files: further files to keep with it, by name; they are linked where the file system can, so they may be
                replaced afterwards but not changed.
        """
        partial = self.folder / f".step-{step:08d}.{os.getpid()}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with _removed_on_failure(partial):
            partial.mkdir()
            for name, named in tensors.items():
                save_file({key: value.contiguous() for key, value in named.items()}, partial / f"{name}.safetensors")
            for name, path in files.items():
                link_or_copy(path, partial / name)
            for path in partial.iterdir():
                _sync(path)
            checksums = {path.name: sha256_of_file(path) for path in sorted(partial.iterdir())}
            body = {"step": step, "state": dict(state), "growing": dict(growing), "checksums": checksums}
            content = {"sha256": _digest(body), "body": body}
            (partial / STATE).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            _sync(partial / STATE)
            _sync(partial)
        final = self.folder / f"step-{step:08d}"
        # A damaged one, or the same step once more.
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _sync(self.folder)
        for old in self._newest_first()[KEPT:]:
            shutil.rmtree(old)

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None where there is none.

        A damaged one is set aside with a warning, under the name `damaged-…`.
        """
        folders = self._newest_first()
        for folder in folders:
            try:
                return self._read(folder)
            except (OSError, ValueError, KeyError, TypeError) as fault:
                log.warning("%s: this checkpoint is damaged (%s); falling back to the one before", folder, fault)
                aside = folder.with_name(f"damaged-{folder.name}")
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
        if folders:
            log.warning("%s: no checkpoint is whole, so the training starts over", self.folder)
        return None

    def clear(self) -> None:
        """Remove every checkpoint and all that lies beside them, so that the training starts over."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def remove(self) -> None:
        """Remove the whole folder."""
        # Renamed first: a process that dies here leaves no half a checkpoint under the folder's name.
        self.folder.rename(self._done)
        shutil.rmtree(self._done)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)

    def _read(self, folder: Path) -> Checkpoint:
        content = json.loads((folder / STATE).read_text(encoding="utf-8"))
        body = content["body"]
        if _digest(body) != content["sha256"]:
            raise ValueError(f"{STATE} has another checksum than was written")
        for name, checksum in body["checksums"].items():
            if sha256_of_file(folder / name) != checksum:
                raise ValueError(f"{name} has another checksum than was written")
        for name, length in body["growing"].items():
            if (self.folder / name).stat().st_size < length:
                raise ValueError(f"{self.folder / name} is shorter than it was")
        return Checkpoint(body["step"], folder, body["state"], body["growing"])


def link_or_copy(source: Path, target: Path) -> None:
    """Let `target` have what `source` has, without a copy where the file system can link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Remove a folder if the block that fills it fails: on a full disk it would keep the room that others need."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
