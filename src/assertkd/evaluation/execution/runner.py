"""A warm JVM that runs single tests, each under a time limit; restarted after every test that spoils it."""

import functools
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.evaluation.execution.confine import Confinement
from assertkd.evaluation.execution.messages import printable
from assertkd.evaluation.execution.process import DeadlinePassedError, JavaProcess, ProcessEndedError
from assertkd.java.projects import is_regular

LEEWAY_SECONDS = 1.0
"""How much longer than allowed a test may say to have taken."""

INTIMATE = (
    # Reflection, and method handles: a lambda's class names MethodHandles alone.
    b"\x00\x1djava/lang/invoke/MethodHandle",
    *b"java/lang/invoke/Var java/lang/reflect/ ;)Ljava/lang/Class; java/lang/ClassLoader".split(),
    *b"java/net/URLClassLoader java/beans/ javax/script/ javax/tools/".split(),
    # The JVM's own parts.
    *b"sun/ jdk/ java/lang/instrument/ java/lang/foreign/ java/lang/management/ javax/management/ loadLibrary".split(),
    b"\x00\x11java/lang/Runtime",
    *b"java/lang/Process java/lang/ThreadGroup java/io/FileDescriptor".split(),
    *b"getAllStackTraces addShutdownHook".split(),
    # What is set for the whole process.
    *b"java/security/Security java/security/Provider HandlerFactory SocketImplFactory SecurityManager".split(),
    *b"java/util/logging/LogManager java/util/logging/Handler java/net/Authenticator".split(),
    *b"java/net/ProxySelector java/net/CookieHandler java/net/ResponseCache".split(),
    # The frameworks' own machinery, and the program here.
    *b"org/junit/platform/ org/junit/internal/ org/testng/internal/ assertkd/".split(),
)
"""Names as they stand in compiled classes."""

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
        confinement: what confines the process; None for nothing.
        program: the folder of the compiled program.
        classes: the folder that has those of all tests.
        libraries: the jars of the frameworks.
        class_path: what every test sees beside its own folders.
        folder: an existing folder, empty, where tests run and may write.
        heap_mb: Java heap of the process, in MiB.
    """

    def __init__(
        self,
        java: Path,
        confinement: Confinement | None,
        program: Path,
        classes: Path,
        libraries: Sequence[Path],
        class_path: Sequence[Path],
        folder: Path,
        heap_mb: int,
    ) -> None:
        options = ["-ea", "-cp", os.pathsep.join(map(str, (program, *libraries))), "assertkd.Runner"]
        readable = [classes, *libraries, *class_path]
        super().__init__(java, options, class_path, confinement, readable, folder, heap_mb, keep_files=False)

    def run(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        """Run one test.

        A test that leaves something behind in a process that others have used is run again in a new one, as is one
        that ends it: what an earlier test did may have been the cause.

        Args:
            test_class: binary name of its class.
            method: its name.
            folders: where its classes are, the first that has a class wins.
            seconds: how long it may take.
        """
        is_fresh = not self.is_running
        outcome = self._attempt(test_class, method, folders, seconds)
        if not is_fresh and not self.is_running and outcome.ended != TIMED_OUT:
            outcome = self._attempt(test_class, method, folders, seconds)
        if any(reaches_into_jvm(folder) for folder in folders):
            self.kill()
        return outcome

    def _attempt(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        if not self.is_running:
            self.start()
        word = secrets.token_hex(16)
        request = "\t".join((word, test_class, method, os.pathsep.join(map(str, folders))))
        deadline = time.monotonic() + seconds
        try:
            self.send(request.encode() + b"\n", deadline)
            said, verdict, left, milliseconds, message = self.receive_line(deadline).split("\t")
            if said != word or not 0 <= (taken := int(milliseconds) / 1000) <= seconds + LEEWAY_SECONDS:
                raise ValueError(said)
        except DeadlinePassedError:
            self.kill()
            return TestOutcome(TIMED_OUT, f"took longer than {seconds:g} s", seconds)
        except (ProcessEndedError, ValueError):
            self.kill()
            return TestOutcome(DIED, "the process that ran it ended")
        if left != "clean":
            self.kill()
        if verdict != PASSED:
            return TestOutcome(NOT_RUN if verdict == NOT_RUN else FAILED, printable(message), taken)
        if left == "threads":
            return TestOutcome(LEFT_THREADS, "threads go on", taken)
        return TestOutcome(PASSED, "", taken)


@functools.lru_cache(maxsize=4096)
def reaches_into_jvm(folder: Path) -> bool:
    """Return whether classes of a folder name what can change a JVM in ways that leave no trace to look for."""
    classes = (path for path in folder.rglob("*.class") if is_regular(path))
    return any(name in code for path in classes for code in [path.read_bytes()] for name in INTIMATE)
