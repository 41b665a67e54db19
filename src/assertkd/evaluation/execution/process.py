"""A Java process, confined, and spoken to through two named pipes that its tests do not find."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from assertkd.errors import UserError
from assertkd.evaluation.execution.confine import Confinement, limits_command, may_be_anybody, new_user
from assertkd.evaluation.execution.folders import remove_folder
from assertkd.evaluation.execution.frameworks import with_linked

LONGEST_LINE = 1 << 16
START_SECONDS = 60.0
"""How long a new process may take until it is ready, before any time of its work counts."""

LOOK_SECONDS = 0.2
"""How often a process that says nothing is asked whether it still runs."""

KILL_SECONDS = 30.0
"""How long the system may take to end a process."""

JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:-CreateCoredumpOnCrash",
    "-XX:ErrorFile=/dev/null",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:CompressedClassSpaceSize=128m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+DisableAttachMechanism",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.timezone=UTC",
    *(["-XX:-UseContainerSupport"] if sys.platform == "linux" else []),
)
"""Little start-up time and little address space; same locale and time zone everywhere; no sight of the machine."""

BESIDE_HEAP_MB = 1536
"""Address space of a JVM beside its heap: classes, code, the JDK's own files, and some hundred threads."""


class ProcessEndedError(Exception):
    """The process ended, closed its end, or said what makes no sense, before it had answered."""


class DeadlinePassedError(Exception):
    """The process did not take a message, or did not answer, in time."""


class JavaProcess:
    """A Java program; killed with all that it started on leaving the `with` block.

    Its arguments begin with two named pipes: it reads requests from the first and writes replies, the first of them
    the line `ready`, to the second. They lose their names once both ends are open.

    Args:
        java: the `java` program.
        program: options and the program.
        arguments: of the program, behind the pipes.
        confinement: what confines it; None for nothing: then it is a user of its own, where we are root.
        readable: files and folders that it may read, beside the JDK's.
        folder: where it runs; confined, it has in its place one in memory, the only one that it may write to.
        heap_mb: Java heap, in MiB.
    """

    def __init__(
        self,
        java: Path,
        program: Sequence[str | Path],
        arguments: Sequence[str | Path],
        confinement: Confinement | None,
        readable: Iterable[Path],
        folder: Path,
        heap_mb: int,
    ) -> None:
        self._java, self._confinement, self._folder, self._heap_mb = java, confinement, folder, heap_mb
        self._pipes = folder.with_name(f"{folder.name}-pipes")
        for path in (self._pipes, folder):
            _make_open(path)
        self._readable = [*with_linked(readable), self._pipes]
        names = [self._pipes / name for name in ("requests", "replies")]
        options = [*JVM_OPTIONS, f"-Xmx{heap_mb}m", f"-Djava.io.tmpdir={folder}"]
        is_alone = confinement is not None or may_be_anybody()
        limits = limits_command((heap_mb + BESIDE_HEAP_MB) << 20, is_alone=is_alone)
        self._command = [str(part) for part in (*limits, java, *options, *program, *names, *arguments)]
        # No secret, proxy or option of ours is in it. glibc would reserve address space for dozens of memory arenas.
        self._environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(folder), "MALLOC_ARENA_MAX": "2"}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it, and wait until it is ready; it must not be running.

        It ends with the thread that starts it.

        Raises:
            UserError: it does not become ready.
        """
        # A second time, because what was killed just before may still hold memory.
        if self._is_ended or not (self._try_to_start() or self._try_to_start()):
            if self._is_ended:
                raise ProcessEndedError
            raise UserError(
                f"{self._java}: a JVM with {self._heap_mb} MiB of heap did not start",
                "Check evaluation.execute.jdk_home and memory_mb, and that the machine has that much memory.",
            )

    def _try_to_start(self) -> bool:
        """Start it; return whether it is ready."""
        requests, replies = self._pipes / "requests", self._pipes / "replies"
        user = new_user() if may_be_anybody() else None
        if self._confinement is None:
            # A process before it may have left files there.
            remove_folder(self._folder)
            _make_open(self._folder)
        for path in (requests, replies):
            os.mkfifo(path, 0o600)
        if user is not None:
            for path in (requests, replies, self._folder):
                os.chown(path, user, user)
        # Held open for reading too, a pipe can be opened and written to before there is anybody who reads.
        self._requests = os.open(requests, os.O_RDWR | os.O_NONBLOCK)
        self._replies = os.open(replies, os.O_RDONLY | os.O_NONBLOCK)
        self._read = bytearray()
        try:
            self._process = self._started(user)
            if not self._is_ended and self.receive_line(time.monotonic() + START_SECONDS) == "ready":
                return True
        except (ProcessEndedError, DeadlinePassedError):
            pass
        except OSError as fault:
            self._close()
            raise UserError(
                f"{self._command[0]}: cannot be started ({fault.strerror})",
                "Check evaluation.execute.jdk_home, and that the machine lets you start more processes.",
            ) from None
        finally:
            requests.unlink()
            replies.unlink()
        self.kill()
        return False

    def send(self, message: bytes, deadline: float) -> None:
        """Write a request.

        Args:
            message: all of it.
            deadline: until when, on `time.monotonic`'s clock.

        Raises:
            ProcessEndedError: it has ended.
            DeadlinePassedError: it did not take the message in time.
        """
        view = memoryview(message)
        while view:
            self._wait(self._requests, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._requests, view[: select.PIPE_BUF]) :]

    def receive(self, size: int, deadline: float) -> bytes:
        """Return exactly `size` bytes of its replies; `deadline` and faults as in `send`."""
        while len(self._read) < size:
            self._read += self._more(deadline)
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def receive_line(self, deadline: float) -> str:
        """Return the next line of its replies without its end; raises as `receive` does, also for an endless line."""
        while b"\n" not in self._read:
            if len(self._read) > LONGEST_LINE:
                raise ProcessEndedError
            self._read += self._more(deadline)
        line, _, self._read = self._read.partition(b"\n")
        return line.decode("utf-8", errors="replace")

    def end(self) -> None:
        """End it, and let it not be started again; any thread may do this while another one waits for an answer."""
        self._is_ended = True
        if (process := self._process) is not None:
            process.kill()

    def kill(self) -> None:
        """End it, if it runs, and everything that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_SECONDS)
            self._close()
            self._process = None

    def _close(self) -> None:
        os.close(self._requests)
        os.close(self._replies)

    def _started(self, user: int | None) -> subprocess.Popen[bytes]:
        """Start it as a user of its own, where we may be anybody: what another one left would count as its own."""
        if self._confinement is not None:
            return self._confinement.start(self._command, self._readable, self._folder, self._environment, user)
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env=self._environment,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            start_new_session=True,
        )

    def _more(self, deadline: float) -> bytes:
        while True:
            self._wait(self._replies, select.POLLIN, deadline)
            with contextlib.suppress(BlockingIOError):
                if data := os.read(self._replies, LONGEST_LINE):
                    return data
                raise ProcessEndedError

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Wait until a pipe is ready; raises as `send` does."""
        assert self._process is not None
        ready = select.poll()
        ready.register(pipe, event)
        while not ready.poll(1000 * max(0.0, min(LOOK_SECONDS, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise DeadlinePassedError
            if self._process.poll() is not None:
                raise ProcessEndedError
        if time.monotonic() >= deadline:
            raise DeadlinePassedError


def _make_open(folder: Path) -> None:
    """Make a folder, if it is not there, and open it to others: as root, who runs there is another user."""
    folder.mkdir(exist_ok=True)
    # Whatever the umask.
    folder.chmod(0o755)
