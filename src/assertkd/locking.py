"""A lock file that names its holder, so that one process at a time, on any node, writes an output folder.

The holder touches the file every few seconds. Another process takes the lock over only when the holder is known to be
gone: its process has ended (on the same machine), SLURM has ended its job, or the file was not touched for minutes. A
requeued SLURM job takes it from its own earlier start, which may live on behind a broken network. A holder that finds
another's name at its next touch ends at once.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from assertkd.errors import UserError
from assertkd.lock_holder import Holder

NAME = ".lock.json"

HOLDER = TypeAdapter(Holder)


@dataclass(frozen=True)
class Timing:
    """Times in seconds."""

    touch: float = 10.0
    """Between two touches of the lock by its holder."""
    silence: float = 180.0
    """After the last touch, when a holder counts as gone; longer than a network file system shows an old time stamp."""
    patience: float = 60.0
    """To wait for a living holder, which may be about to end."""


@contextmanager
def held(folder: Path, part: str = "", timing: Timing | None = None) -> Iterator[Holder]:
    """Hold the lock of `folder` while the block runs.

    Args:
        folder: an output folder; made if it is missing.
        part: name of the part of it that is written, where jobs write several parts at the same time. Each part has a
            lock of its own.
        timing: replaces the default times.

    Raises:
        UserError: a living process holds the lock; the message names it.
    """
    timing = timing or Timing()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f".{part}{NAME}" if part else NAME)
    holder = _acquire(path, timing)
    released = threading.Event()
    toucher = threading.Thread(target=_keep_touching, args=(path, holder, timing.touch, released), daemon=True)
    toucher.start()
    try:
        yield holder
    finally:
        released.set()
        toucher.join()
        # What ended the block is the fault to tell, not that the lock could not be read.
        with suppress(OSError, UserError):
            if _read(path) == holder:
                path.unlink(missing_ok=True)


def _acquire(path: Path, timing: Timing) -> Holder:
    mine = Holder.here()
    draft = path.with_name(f"{path.name}.{mine.token}")
    # When each time stamp of each holder's lock was first seen, by the clock of this machine: others' may differ.
    touches: dict[Holder, dict[int, float]] = {}
    try:
        draft.write_text(json.dumps(asdict(mine), indent=2) + "\n", encoding="utf-8")
        while True:
            # Linking fails where the name is taken, on network file systems too, and the lock is whole from the start.
            with suppress(FileExistsError):
                os.link(draft, path)
                return mine
            holder = _read(path)
            if holder is None:
                continue
            with suppress(FileNotFoundError):
                touches.setdefault(holder, {}).setdefault(path.stat().st_mtime_ns, time.monotonic())
            seen = [*touches.get(holder, {}).values()] or [time.monotonic()]
            if holder.is_gone() or time.monotonic() - seen[-1] > timing.silence:
                if _take_over(path, draft, holder):
                    return mine
            elif holder.is_earlier_start_of(mine):
                if _take_over(path, draft, holder):
                    # It ends by itself, or notices the loss at its next touch.
                    end = time.monotonic() + 3 * timing.touch
                    while time.monotonic() < end and not holder.is_gone():
                        time.sleep(timing.touch / 2)
                    return mine
            elif len(seen) > 1 and time.monotonic() - seen[0] > timing.patience:
                cancel = f"cancel it: scancel {holder.slurm_job}"
                end_it = cancel if holder.slurm_job else f"end it: kill {holder.pid} on {holder.host}"
                raise UserError(
                    f"{path.parent}: is being written by {holder}",
                    f"Wait for it, or {end_it}. If you know that it is gone, delete {path}.",
                )
            time.sleep(timing.touch / 2)
    finally:
        draft.unlink(missing_ok=True)


def _take_over(path: Path, draft: Path, holder: Holder) -> bool:
    """Replace a holder's lock by `draft`; return False where another process was quicker."""
    # Only one process can make this name, and only its maker may replace this holder.
    claim = path.with_name(f"{path.name}.after-{holder.token}")
    try:
        os.link(draft, claim)
    except FileExistsError:
        return False
    try:
        if _read(path) != holder:
            return False
        claim.replace(path)
        return True
    finally:
        claim.unlink(missing_ok=True)


def _keep_touching(path: Path, holder: Holder, every: float, released: threading.Event) -> None:
    while not released.wait(every):
        try:
            is_lost = _read(path) != holder
        except UserError:
            is_lost = True
        except OSError:
            # A network disk may fail for a moment.
            continue
        if is_lost:
            print(
                f"Error: {path}: this process slept for so long that another has taken its output folder\n"
                "There is nothing to do: the other process continues from the last checkpoint.",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)
        with suppress(OSError):
            os.utime(path)


def _read(path: Path) -> Holder | None:
    """Return the holder that the lock names, or None where there is no lock."""
    try:
        return HOLDER.validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        # A link that leads nowhere takes the name, so that waiting for the lock would have no end.
        if not path.is_symlink():
            return None
    except (IsADirectoryError, ValidationError):
        pass
    raise UserError(
        f"{path}: is not a lock of this version", f"If no other process writes {path.parent}, delete this file."
    )
