"""Who holds a lock: a process, on a machine, perhaps of a SLURM job, and whether it has ended.

A process is known by its number and the time from the machine's boot to its start, which no change of the clock alters.
Numbers count among the processes that see each other: of one boot, and not of another container.
"""

import hashlib
import os
import platform
import subprocess
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import Field

PROC = Path("/proc")


def _content(path: Path) -> str:
    """Return the text of a file of the system; empty where there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    """Return the id of the processes that see each other's numbers; empty where the system has no such groups."""
    try:
        return str((PROC / "self" / "ns" / "pid").readlink())
    except OSError:
        return ""


def _hashed_machine_id() -> str:
    """Return an id of this machine from which its own id cannot be found; empty where it has none, as in containers."""
    own = _content(Path("/etc/machine-id"))
    return hashlib.sha256(f"assertkd {own}".encode()).hexdigest()[:16] if len(own) == 32 else ""


MACHINE_ID = _hashed_machine_id()
"""Of this machine over all its boots; empty where it has none."""
BOOT_ID = _content(PROC / "sys" / "kernel" / "random" / "boot_id")
"""Of this machine's last boot; empty where the system has none."""
PID_NAMESPACE = _pid_namespace()

ENDED_STATES = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
)
"""SLURM's states of a job without living processes. NODE_FAIL is none: a node that SLURM cannot reach may go on
computing."""


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
            machine=MACHINE_ID,
            boot=BOOT_ID,
            container=PID_NAMESPACE,
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
        if (self.boot, self.container) == (BOOT_ID, PID_NAMESPACE) and (BOOT_ID or is_of_this_host):
            return not _lives(self.pid, self.started_after_boot)
        # A name alone may be that of several machines.
        if is_of_this_host and self.machine == MACHINE_ID != "" and self.boot != BOOT_ID:
            return True
        return self.slurm_job is not None and _ask_slurm(self.slurm_job, "--format=%T") in ENDED_STATES

    def is_earlier_start_of(self, other: "Holder") -> bool:
        """Return whether SLURM has restarted this holder's job as `other`."""
        if self.slurm_job is None or self.slurm_restarts is None or other.slurm_restarts is None:
            return False
        return self.slurm_job == other.slurm_job and self.slurm_restarts < other.slurm_restarts


def _lives(pid: int, started_after_boot: float) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return abs(_started_after_boot(pid) - started_after_boot) < 1 and process.status() != psutil.STATUS_ZOMBIE
    return False


def _started_after_boot(pid: int) -> float:
    """Return the seconds from the boot to the start of a process; psutil.NoSuchProcess if there is none."""
    if not (PROC / "self" / "stat").exists():
        # As elsewhere than on Linux, where the start is kept as the clock's time, and no change of the clock alters it.
        return psutil.Process(pid).create_time()
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
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
