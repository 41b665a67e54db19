"""A confined Java process that is spoken to through its standard input and output, with deadlines."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from assertkd.evaluation.execution.isolation import Isolation, bare_environment

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


class ProcessEndedError(Exception):
    """The process ended, or closed its output, before it had answered."""


class DeadlinePassedError(Exception):
    """The process did not answer in time."""


class JavaProcess:
    """A Java program in a process group of its own; killed with all that it started on leaving the `with` block."""

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
        options = (*JVM_OPTIONS, f"-Xmx{heap_mb}m", f"-Djava.io.tmpdir={folder}")
        self._process = subprocess.Popen(
            isolation.command([java, *options, *arguments], folder, heap_mb + BESIDE_HEAP_MB, keep_files=keep_files),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=bare_environment(folder),
            start_new_session=True,
        )
        self._read = b""
        self._output = select.poll()
        assert self._process.stdout is not None
        self._output.register(self._process.stdout, select.POLLIN)

    def __enter__(self) -> "JavaProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def send(self, message: bytes) -> None:
        """Write to its standard input.

        Raises:
            ProcessEndedError: it has ended.
        """
        assert self._process.stdin is not None
        view = memoryview(message)
        try:
            while view:
                view = view[self._process.stdin.write(view) :]
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
        """End it and everything in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _more(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        left = deadline - time.monotonic()
        if left <= 0 or not self._output.poll(1000 * left):
            raise DeadlinePassedError
        data: bytes = self._process.stdout.read(LONGEST_LINE)
        if not data:
            raise ProcessEndedError
        return data
