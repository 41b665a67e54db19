"""A warm JVM that runs single JUnit tests, each under a time limit; restarted after every test that spoils it."""

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from assertkd.errors import UserError
from assertkd.evaluation.execution.compiler import Compiler, Unit
from assertkd.evaluation.execution.isolation import Isolation
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.process import DeadlinePassedError, JavaProcess, ProcessEndedError

SOURCE = Path(__file__).parent / "java" / "Runner.java"
START_SECONDS = 20.0
"""How long a new JVM may take to start, before a test's own time counts."""

PASSED, FAILED, TIMED_OUT, DIED, LEFT_THREADS = "passed", "failed", "timed out", "ended the process", "left threads"
"""How a test ends."""


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """How one test ended.

    Attributes:
        ended: `PASSED`, or one of the ways in which a test does not pass.
        message: what failed; "" where it passed.
        seconds: how long it took.
    """

    __test__ = False

    ended: str
    message: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.ended == PASSED


def compile_runner(compiler: Compiler, folder: Path) -> str | None:
    """Compile the program that the JVMs run into `folder`; return None, or why it does not compile (no JUnit 4)."""
    [error] = compiler.compile([Unit(folder, {SOURCE.name: SOURCE.read_text(encoding="utf-8")})])
    return error


class Runner:
    """The running process; use it in a `with` block, from one thread.

    Args:
        toolchain: JDK and JUnit.
        isolation: how the process is confined.
        program: the folder of the compiled `Runner`.
        class_path: what every test sees beside its own folders.
        folder: an existing folder, empty, where tests run and may write.
        heap_mb: Java heap of the process, in MiB.
    """

    def __init__(
        self,
        toolchain: Toolchain,
        isolation: Isolation,
        program: Path,
        class_path: Sequence[Path],
        folder: Path,
        heap_mb: int,
    ) -> None:
        self._toolchain, self._isolation, self._folder, self._heap_mb = toolchain, isolation, folder, heap_mb
        self._arguments: list[str | Path] = [
            "-ea",
            "-cp",
            os.pathsep.join(map(str, (program, *toolchain.junit))),
            "Runner",
            *class_path,
        ]
        self._process: JavaProcess | None = None
        self._used = False

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        """Run one test.

        Args:
            test_class: binary name of its class.
            method: its name.
            folders: where its classes are, the first that has a class wins.
            seconds: how long it may take.
        """
        fresh = not self._used
        outcome = self._attempt(test_class, method, folders, seconds)
        if outcome.ended == DIED and not fresh:
            # What an earlier test left running may have ended the process: only a fresh one can tell.
            return self._attempt(test_class, method, folders, seconds)
        return outcome

    def stop(self) -> None:
        """End the process, if it runs; the next test starts another."""
        if self._process is not None:
            self._process.kill()
            self._process, self._used = None, False

    def _started(self) -> JavaProcess:
        self._process = JavaProcess(
            self._toolchain.java, self._arguments, self._isolation, self._folder, self._heap_mb, keep_files=False
        )
        try:
            self._process.receive_line(time.monotonic() + START_SECONDS)
        except (ProcessEndedError, DeadlinePassedError):
            raise UserError(
                f"{self._toolchain.java}: a JVM with {self._heap_mb} MiB of heap did not start",
                "Check evaluation.execute.jdk_home and memory_mb, and that the machine has that much memory.",
            ) from None
        return self._process

    def _attempt(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        process = self._process or self._started()
        self._used = True
        word = secrets.token_hex(8)
        deadline = time.monotonic() + seconds
        try:
            request = "\t".join((word, test_class, method, os.pathsep.join(map(str, folders))))
            process.send(request.encode() + b"\n")
            while True:
                reply = process.receive_line(deadline).split("\t")
                if reply[0] == word and len(reply) == 5:
                    break
        except DeadlinePassedError:
            self.stop()
            return TestOutcome(TIMED_OUT, f"took longer than {seconds:g} s", seconds)
        except ProcessEndedError:
            self.stop()
            return TestOutcome(DIED, "the process that ran it ended")
        _, verdict, left, milliseconds, message = reply
        if left != "clean":
            self.stop()
        taken = int(milliseconds) / 1000
        if verdict != PASSED:
            return TestOutcome(FAILED, message, taken)
        return TestOutcome(PASSED, "", taken) if left == "clean" else TestOutcome(LEFT_THREADS, "threads go on", taken)
