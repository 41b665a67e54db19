"""A warm JVM that runs single tests, each under a time limit; restarted after every test that spoils it."""

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.execution.process import DeadlinePassedError, Isolation, JavaProcess, ProcessEndedError

START_SECONDS = 20.0
"""How long a new JVM may take to start, before a test's own time counts."""

PASSED, FAILED, TIMED_OUT, DIED, LEFT_THREADS = "passed", "failed", "timed out", "ended the process", "left threads"
NOT_RUN = "not run"
"""How a test ends; one is not run where its framework refuses it, or it fails for another reason than its own code."""


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


class Runner(JavaProcess):
    """The running process; use it in a `with` block, from one thread.

    Args:
        java: the `java` program.
        isolation: how the process is confined.
        program: the folder of the compiled program.
        libraries: the jars of the frameworks.
        class_path: what every test sees beside its own folders.
        folder: an existing folder, empty, where tests run and may write.
        heap_mb: Java heap of the process, in MiB.
    """

    def __init__(
        self,
        java: Path,
        isolation: Isolation,
        program: Path,
        libraries: Sequence[Path],
        class_path: Sequence[Path],
        folder: Path,
        heap_mb: int,
    ) -> None:
        own_class_path = os.pathsep.join(map(str, (program, *libraries)))
        arguments: list[str | Path] = ["-ea", "-cp", own_class_path, "Runner", *class_path]
        super().__init__(java, arguments, isolation, folder, heap_mb, keep_files=False)
        self._java, self._heap_mb = java, heap_mb

    def run(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        """Run one test.

        Args:
            test_class: binary name of its class.
            method: its name.
            folders: where its classes are, the first that has a class wins.
            seconds: how long it may take.
        """
        fresh = not self.is_running
        outcome = self._attempt(test_class, method, folders, seconds)
        if outcome.ended == DIED and not fresh:
            # What an earlier test left running may have ended the process: only a fresh one can tell.
            return self._attempt(test_class, method, folders, seconds)
        return outcome

    def _attempt(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        if not self.is_running:
            self._start()
        word = secrets.token_hex(8)
        deadline = time.monotonic() + seconds
        try:
            request = "\t".join((word, test_class, method, os.pathsep.join(map(str, folders))))
            self.send(request.encode() + b"\n")
            while True:
                reply = self.receive_line(deadline).split("\t")
                if reply[0] == word and len(reply) == 5:
                    break
        except DeadlinePassedError:
            self.kill()
            return TestOutcome(TIMED_OUT, f"took longer than {seconds:g} s", seconds)
        except ProcessEndedError:
            self.kill()
            return TestOutcome(DIED, "the process that ran it ended")
        _, verdict, left, milliseconds, message = reply
        if left != "clean":
            self.kill()
        taken = int(milliseconds) / 1000
        if verdict != PASSED:
            return TestOutcome(NOT_RUN if verdict == NOT_RUN else FAILED, message, taken)
        return TestOutcome(PASSED, "", taken) if left == "clean" else TestOutcome(LEFT_THREADS, "threads go on", taken)

    def _start(self) -> None:
        self.start()
        try:
            self.receive_line(time.monotonic() + START_SECONDS)
        except (ProcessEndedError, DeadlinePassedError):
            raise UserError(
                f"{self._java}: a JVM with {self._heap_mb} MiB of heap did not start",
                "Check evaluation.execute.jdk_home and memory_mb, and that the machine has that much memory.",
            ) from None
