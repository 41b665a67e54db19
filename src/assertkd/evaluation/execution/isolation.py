"""Isolation of Java processes: the command line that confines them, as strictly as this machine allows."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONFINE = Path(__file__).with_name("confine.py")

NAMESPACES, LIMITS = "namespaces", "limits"
"""Names of the two degrees. `NAMESPACES`: no network, one writable folder, no sight of other processes, all of it ends
with the process. `LIMITS`: time, memory and size of files alone."""

PROBE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Isolation:
    """A degree of isolation: `NAMESPACES` or `LIMITS`."""

    degree: str

    def command(
        self, command: Sequence[str | Path], folder: Path, address_space_mb: int, *, keep_files: bool
    ) -> list[str]:
        """Return the command line that runs `command` confined.

        Args:
            command: an absolute path and arguments.
            folder: where it runs; the one folder that it may write to.
            address_space_mb: limit of its virtual memory, in MiB.
            keep_files: whether what it writes stays; otherwise the folder is in memory, 64 MiB, and forgotten.
        """
        kind = "limits" if self.degree == LIMITS else ("folder" if keep_files else "memory")
        script = [sys.executable, "-I", CONFINE, kind, folder, address_space_mb << 20]
        return [str(part) for part in (*script, *command)]


def best_isolation() -> Isolation:
    """Return the strongest degree that works here, found by trying."""
    with tempfile.TemporaryDirectory(prefix="assertkd-") as folder:
        for keep_files in (True, False):
            command = Isolation(NAMESPACES).command(
                [sys.executable, "-I", "-c", ""], Path(folder), 4096, keep_files=keep_files
            )
            try:
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired):
                return Isolation(LIMITS)
            if done.returncode != 0:
                return Isolation(LIMITS)
    return Isolation(NAMESPACES)


def bare_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a confined process: no secret, proxy or option of ours is in it."""
    # glibc would reserve address space for dozens of memory arenas, which the limit is better spent on.
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(folder), "MALLOC_ARENA_MAX": "2"}
