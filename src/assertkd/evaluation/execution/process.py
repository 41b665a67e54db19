"""A Java process, confined as strictly as this machine allows and spoken to through its standard input and output."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

CONFINE = Path(__file__).with_name("confine.py")
PROBE_SECONDS = 10

LONGEST_LINE = 1 << 16
JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:-CreateCoredumpOnCrash",
    "-XX:ErrorFile=/dev/null",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:CompressedClassSpaceSize=128m",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.timezone=UTC",
)
"""Little start-up time and little address space; same locale and time zone everywhere."""

BESIDE_HEAP_MB = 1536
"""Address space of a JVM beside its heap: classes, code, the JDK's own files, and some hundred threads."""

Isolation = Literal["namespaces", "limits"]
"""`namespaces`: no network, one writable folder, no sight of other processes, all of it ends with the process.
`limits`: time, memory and size of files alone."""


class ProcessEndedError(Exception):
    """The process ended, or closed its output, before it had answered."""


class DeadlinePassedError(Exception):
    """The process did not answer in time."""


class JavaProcess:
    """A Java program in a process group of its own; killed with all that it started on leaving the `with` block.

    Args:
        java: the `java` program.
        arguments: what to run.
        isolation: how it is confined.
        folder: where it runs; the one folder that it may write to.
        heap_mb: Java heap, in MiB.
        keep_files: whether what it writes stays; otherwise the folder is in memory, 64 MiB, and forgotten.
    """

    def __init__(
        self,
        java: Path,
        arguments: Sequence[str | Path],
        isolation: Isolation,
        folder: Path,
        heap_mb: int,
        *,
        keep_files: bool,
    ) -> None:
        command = [java, *JVM_OPTIONS, f"-Xmx{heap_mb}m", f"-Djava.io.tmpdir={folder}", *arguments]
        self._command = confined(command, isolation, folder, heap_mb + BESIDE_HEAP_MB, keep_files=keep_files)
        # No secret, proxy or option of ours is in it. glibc would reserve address space for dozens of memory arenas.
        self._environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(folder), "MALLOC_ARENA_MAX": "2"}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it; it must not be running."""
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=self._environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output, self._read = process.stdin, process.stdout, b""
        self._readable = select.poll()
        self._readable.register(self._output, select.POLLIN)

    def send(self, message: bytes) -> None:
        """Write to its standard input.

        Raises:
            ProcessEndedError: it has ended.
        """
        view = memoryview(message)
        try:
            while view:
                view = view[self._input.write(view) :]
        except OSError:
            raise ProcessEndedError from None

    def receive(self, size: int, deadline: float) -> bytes:
        """Return exactly `size` bytes of its output.

        Args:
            size: how many.
            deadline: until when, on `time.monotonic`'s clock.

        Raises:
            ProcessEndedError: it ended before.
            DeadlinePassedError: it took longer.
        """
        while len(self._read) < size:
            self._read += self._more(deadline)
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def receive_line(self, deadline: float) -> str:
        """Return the next line of its output without its end; raises as `receive` does, also for an endless line."""
        while b"\n" not in self._read:
            if len(self._read) > LONGEST_LINE:
                raise ProcessEndedError
            self._read += self._more(deadline)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode("utf-8", errors="replace")

    def kill(self) -> None:
        """End it, if it runs, and everything in its process group."""
        if self._process is not None:
            with self._process, contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process = None

    def _more(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0 or not self._readable.poll(1000 * left):
            raise DeadlinePassedError
        data: bytes = self._output.read(LONGEST_LINE)
        if not data:
            raise ProcessEndedError
        return data


def best_isolation() -> Isolation:
    """Return the strongest isolation that works here, found by trying."""
    probe = [sys.executable, "-I", "-c", ""]
    with tempfile.TemporaryDirectory(prefix="assertkd-") as folder:
        for keep_files in (True, False):
            command = confined(probe, "namespaces", Path(folder), 4096, keep_files=keep_files)
            try:
                subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=True
                )
            except (OSError, subprocess.SubprocessError):
                return "limits"
    return "namespaces"


def confined(
    command: Sequence[str | Path], isolation: Isolation, folder: Path, address_space_mb: int, *, keep_files: bool
) -> list[str]:
    """Return the command line that runs `command`, an absolute path and arguments, confined; see `JavaProcess`."""
    kind = "limits" if isolation == "limits" else ("folder" if keep_files else "memory")
    script = [sys.executable, "-I", CONFINE, kind, folder, address_space_mb << 20]
    return [str(part) for part in (*script, *command)]
