"""A lock file that names its holder, so that one process at a time, on any node, writes an output folder.

The holder touches the file every few seconds. Another process takes the lock over only when the holder is known to be
gone: its process has ended (on the same machine), SLURM has ended its job, or the file was not touched for minutes. A
requeued SLURM job takes it from its own earlier start, which may live on behind a broken network. A holder that finds
another's name at its next touch ends at once.

A process is known by its number and the time from the machine's boot to its start, which no change of the clock alters.
Numbers count among the processes that see each other: of one boot, and not of another container.
"""

import hashlib
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
from typing import Annotated

import psutil
from pydantic import Field, TypeAdapter, ValidationError

from assertkd.errors import UserError

NAME = ".lock.json"
PROCESSES = Path("/proc")


def _content(path: Path) -> str:
    """Return the text of a file of the system; empty where there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _container() -> str:
    """Return the id of the processes that see each other's numbers; empty where the system has no such groups."""
    try:
        return str((PROCESSES / "self" / "ns" / "pid").readlink())
    except OSError:
        return ""


BOOT = _content(PROCESSES / "sys" / "kernel" / "random" / "boot_id")
"""Id of this machine's last boot; empty where the system has none."""
CONTAINER = _container()
MACHINE_ID = _content(Path("/etc/machine-id"))
MACHINE = hashlib.sha256(f"assertkd {MACHINE_ID}".encode()).hexdigest()[:16] if len(MACHINE_ID) == 32 else ""
"""Id of this machine over all its boots, from which its own id cannot be found; empty where it has none, as in many
containers."""

ENDED_STATES = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
)
"""SLURM's states of a job without living processes. NODE_FAIL is none: a node that SLURM cannot reach may go on
computing."""


@dataclass(frozen=True)
class Timing:
    """Times in seconds."""

    touch: float = 10.0
    """Between two touches of the lock by its holder."""
    silence: float = 180.0
    """After the last touch, when a holder counts as gone; longer than a network file system shows an old time stamp."""
    patience: float = 60.0
    """To wait for a living holder, which may be about to end."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        token: a random id of this acquisition.
        machine: id of the machine over all its boots; empty where it has none.
        boot: id of the machine's last boot; empty where the system has none.
        container: id of the group of processes in which `pid` counts; empty where the system has none.
        started_after_boot: seconds from the boot to the start of the process, which `pid` and they identify; from 1970
            to the start where the system does not tell.
        slurm_restarts: how often SLURM has restarted its job, or None where that is unknown.
        since: local time at which it took the lock.
    """

    token: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    host: str
    machine: str
    boot: str
    container: str
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    started_after_boot: float
    slurm_job: str | None
    slurm_restarts: int | None
    since: str

    @classmethod
    def here(cls) -> "Holder":
        """Return this process as a holder."""
        job = os.environ.get("SLURM_JOB_ID")
        restarts = _ask_slurm(job, "--Format=RestartCnt") if job else None
        return cls(
            token=uuid.uuid4().hex,
            host=platform.node(),
            machine=MACHINE,
            boot=BOOT,
            container=CONTAINER,
            pid=os.getpid(),
            started_after_boot=_started_after_boot(os.getpid()),
            slurm_job=job,
            slurm_restarts=int(restarts) if restarts and restarts.isdigit() else None,
            since=datetime.now().astimezone().isoformat(timespec="seconds"),
        )

    def __str__(self) -> str:
        job = f", SLURM job {self.slurm_job}" if self.slurm_job else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"

    def is_gone(self) -> bool:
        """Return whether this holder is known to have ended; False where this machine cannot know."""
        is_of_this_host = self.host == platform.node()
        if (self.boot, self.container) == (BOOT, CONTAINER) and (BOOT or is_of_this_host):
            return not _lives(self.pid, self.started_after_boot)
        # A name alone may be that of several machines.
        if is_of_this_host and self.machine == MACHINE != "" and self.boot != BOOT:
            return True
        return self.slurm_job is not None and _ask_slurm(self.slurm_job, "--format=%T") in ENDED_STATES

    def is_earlier_start_of(self, other: "Holder") -> bool:
        """Return whether SLURM has restarted this holder's job as `other`."""
        if self.slurm_job is None or self.slurm_restarts is None or other.slurm_restarts is None:
            return False
        return self.slurm_job == other.slurm_job and self.slurm_restarts < other.slurm_restarts


HOLDER = TypeAdapter(Holder)


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


def _lives(pid: int, started_after_boot: float) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return abs(_started_after_boot(pid) - started_after_boot) < 1 and process.status() != psutil.STATUS_ZOMBIE
    return False


def _started_after_boot(pid: int) -> float:
    """Return the seconds from the boot to the start of a process; psutil.NoSuchProcess if there is none."""
    if not (PROCESSES / "self" / "stat").exists():
        # As elsewhere than on Linux, where the start is kept as the clock's time, and no change of the clock alters it.
        return psutil.Process(pid).create_time()
    try:
        stat = (PROCESSES / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    # proc_pid_stat(5): the second field is a name in brackets, which may itself hold any; the start is the 22nd.
    return int(stat.rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def _ask_slurm(job: str, field: str) -> str | None:
    """Return a field of squeue's answer for a job, finished or not; None without an answer."""
    try:
        command = ["squeue", "--noheader", "--states=all", field, f"--jobs={job}"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
