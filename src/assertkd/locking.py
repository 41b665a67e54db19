"""One process at a time writes an output folder, on whatever node: a lock file that names its holder.

The holder touches the file every few seconds. Whoever finds it there takes it over only when the holder is known to be
gone: its process has ended (on the same machine), SLURM has ended its job, or the file was not touched for minutes. A
SLURM job that was queued again after its node was lost takes it from its own earlier start, which may live on behind a
broken network. Each holder sees at its next touch that the lock is another's, and then ends at once.
"""

import json
import os
import platform
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psutil

from assertkd.errors import UserError

NAME = ".lock.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

ENDED_STATES = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
)
"""What SLURM says of a job none of whose processes is left. NODE_FAIL is not among them: a node that SLURM cannot reach
may go on computing."""


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds.

    Attributes:
        touch: between two touches of the lock by its holder.
        silence: without a touch, after which the holder counts as gone. Longer than a network file system may serve an
            old time stamp.
        patience: waited for a living holder, which may be about to end, before giving up.
    """

    touch: float = 10.0
    silence: float = 180.0
    patience: float = 60.0


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        token: a random name of this holding.
        host: its machine.
        boot: what tells the machine's last start from others; empty where the system does not say.
        pid: its process.
        started: when the process started, in seconds since 1970; with `pid` it names one process.
        slurm_job: number of its SLURM job, or None.
        slurm_restarts: how often SLURM had started that job anew, or None where it does not say.
        since: when it took the lock, local time.
    """

    token: str
    host: str
    boot: str
    pid: int
    started: float
    slurm_job: str | None
    slurm_restarts: int | None
    since: str

    @classmethod
    def here(cls) -> "Holder":
        """Return this process as a holder from now on."""
        job = os.environ.get("SLURM_JOB_ID")
        restarts = _ask_slurm(job, "--Format=RestartCnt") if job else None
        return cls(
            token=uuid.uuid4().hex,
            host=platform.node(),
            boot=_boot(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            slurm_job=job,
            slurm_restarts=int(restarts) if restarts and restarts.isdigit() else None,
            since=datetime.now().astimezone().isoformat(timespec="seconds"),
        )

    def __str__(self) -> str:
        job = f", SLURM job {self.slurm_job}" if self.slurm_job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"

    def is_gone(self) -> bool:
        """Return whether this holder is known to have ended; False where that cannot be told from here."""
        if self.host == platform.node():
            return self.boot != _boot() or not _lives(self.pid, self.started)
        return self.slurm_job is not None and _ask_slurm(self.slurm_job, "--format=%T") in ENDED_STATES

    def is_earlier_start_of(self, other: "Holder") -> bool:
        """Return whether SLURM has started this holder's job anew since, as the job of `other`."""
        if self.slurm_job is None or self.slurm_restarts is None or other.slurm_restarts is None:
            return False
        return self.slurm_job == other.slurm_job and self.slurm_restarts < other.slurm_restarts


@contextmanager
def held(folder: Path, part: str = "", timing: Timing | None = None) -> Iterator[Holder]:
    """Hold the lock of `folder` while the block runs.

    Args:
        folder: an output folder; made where it is missing.
        part: the part of it that is written, where jobs write several at the same time; they do not exclude each other.
        timing: other times than the default ones.

    Raises:
        UserError: a living process holds it, who is named.
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
        if _read(path) == holder:
            path.unlink(missing_ok=True)


def _acquire(path: Path, timing: Timing) -> Holder:
    mine = Holder.here()
    draft = path.with_name(f"{path.name}.{mine.token}")
    draft.write_text(json.dumps(asdict(mine), indent=2) + "\n", encoding="utf-8")
    try:
        watch: _Watch | None = None
        while True:
            # Linking fails where the name is taken, on network file systems too, and the lock is whole from the start.
            with suppress(FileExistsError):
                os.link(draft, path)
                return mine
            holder = _read(path)
            if holder is None:
                continue
            if watch is None or watch.holder != holder:
                watch = _Watch(path, holder)
            if holder.is_gone() or watch.silence() > timing.silence:
                if _take_over(path, draft, holder):
                    return mine
            elif holder.is_earlier_start_of(mine):
                if _take_over(path, draft, holder):
                    _let_end(holder, timing)
                    return mine
            elif watch.touched and watch.age() > timing.patience:
                raise UserError(
                    f"{path.parent}: is being written by {holder}",
                    _how_to_end(holder) + f" If you know that it is gone, delete {path}.",
                )
            time.sleep(timing.touch / 2)
    finally:
        draft.unlink(missing_ok=True)


def _take_over(path: Path, draft: Path, holder: Holder) -> bool:
    """Put `draft` in the place of the lock of a holder that is gone; False where another process was quicker."""
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


def _let_end(holder: Holder, timing: Timing) -> None:
    """Wait until a holder whose lock was taken has ended, or must have seen that it was."""
    end = time.monotonic() + 3 * timing.touch
    while time.monotonic() < end and not holder.is_gone():
        time.sleep(timing.touch / 2)


class _Watch:
    """What was seen of one holder's touches, by this machine's clock alone."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path, self.holder = path, holder
        self.began = self.last_change = time.monotonic()
        self.stamp = self._stamp()
        self.touched = False

    def _stamp(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def silence(self) -> float:
        """Return the seconds since the last change of the time stamp was seen."""
        stamp = self._stamp()
        if stamp != self.stamp:
            self.stamp, self.last_change, self.touched = stamp, time.monotonic(), True
        return time.monotonic() - self.last_change

    def age(self) -> float:
        """Return the seconds since the watch began."""
        return time.monotonic() - self.began


def _keep_touching(path: Path, holder: Holder, every: float, released: threading.Event) -> None:
    while not released.wait(every):
        if _read(path) != holder:
            print(
                f"Error: {path}: this process slept for so long that another has taken its output folder\n"
                "Nothing is to be done: the other goes on from the last checkpoint.",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)
        with suppress(FileNotFoundError):
            os.utime(path)


def _read(path: Path) -> Holder | None:
    """Return the holder that the lock names, or None where there is no lock."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise UserError(f"{path}: is not a lock of this program", "Delete it.") from None


def _how_to_end(holder: Holder) -> str:
    if holder.slurm_job:
        return f"Wait for it, or cancel it: scancel {holder.slurm_job}."
    return f"Wait for it, or end it: kill {holder.pid} on {holder.host}."


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _boot() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else ""


def _ask_slurm(job: str, what: str) -> str | None:
    """Return what squeue says of a job, finished or not; None where it does not know it or cannot be asked."""
    try:
        asked = subprocess.run(
            ["squeue", "--noheader", "--states=all", what, f"--jobs={job}"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
