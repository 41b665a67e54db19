"""A warm JVM that runs single tests, each under a time limit; restarted after every test that spoils it."""

import functools
import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.evaluation.execution.confine import Confinement
from assertkd.evaluation.execution.frameworks import warmup_of
from assertkd.evaluation.execution.messages import printable
from assertkd.evaluation.execution.process import START_SECONDS, DeadlinePassedError, JavaProcess, ProcessEndedError
from assertkd.java.projects import is_regular

LEEWAY_SECONDS = 1.0
"""How much longer than allowed a test may say to have taken."""

JVM_INTERNALS = re.compile(
    rb"""
    # The JDK, but for what is harmless. A lambda and a text of parts name method handles.
    (?:java|javax|jdk|sun|com/sun|org/w3c|org/xml|org/ietf|netscape)/ (?!
        (?<=java/) (?:
            lang/ (?!Runtime(?!\w)|Process|ThreadGroup|ClassLoader|Module|StackWalker|SecurityManager|System\$)
                [A-Z]
            | lang/annotation/ | lang/runtime/ | lang/ref/(?:Weak|Soft)?Reference
            | lang/invoke/ (?:CallSite|LambdaMetafactory|StringConcatFactory|Method(?:Type|Handles?)|TypeDescriptor
                |SerializedLambda)
            | lang/reflect/ (?:InvocationTargetException|Array(?!\w)|Type(?!\w))
            | math/ | time/ | text/(?!spi/) | io/(?!FileDescriptor|Object)
            | util/ (?!logging/|prefs/|spi/|ServiceLoader)
            | nio/ (?!\w+/spi/) | net/UR (?:I|L|LEncoder|LDecoder|ISyntaxException) (?!\w) | net/MalformedURLException
            | security/ (?:MessageDigest|SecureRandom|NoSuchAlgorithm|GeneralSecurity)
        )
    )
    # Looking methods and classes up, and method handles as such.
    | \x00\x1djava/lang/invoke/MethodHandle | \)Ljava/lang/invoke/MethodHandles\$Lookup; | ;\)Ljava/lang/Class;
    | getAllStackTraces | loadLibrary | HandlerFactory
    # What the JVM calls when the test has long ended.
    | \x00\x08finalize
    # The frameworks' own machinery, what their jars have beside it, and the program here.
    | org/junit/(?:platform|internal|vintage)/ | org/junit/jupiter/engine/ | org/testng/(?!annotations/|Assert|asserts/)
    | bsh/ | com/beust/ | com/univocity/ | assertkd/
    """,
    re.VERBOSE,
)
"""Names, as they stand in compiled classes, of what can change a JVM in ways that leave no trace to look for."""

SYSTEM, LOAD = b"\x00\x10java/lang/System", b"\x00\x04load"
"""Both in one class may load a library of machine code."""

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
        readable = [program, classes, *libraries, *class_path]
        super().__init__(java, options, class_path, confinement, readable, folder, heap_mb)

    def run(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        """Run one test.

        A test that leaves something behind in a process that others have used is run again in a new one, as is one
        that ends it or takes too long: what an earlier test did may have been the cause.

        Args:
            test_class: binary name of its class.
            method: its name.
            folders: where its classes are, the first that has a class wins.
            seconds: how long it may take.
        """
        is_fresh = not self.is_running
        outcome = self._attempt(test_class, method, folders, seconds)
        if not is_fresh and not self.is_running:
            outcome = self._attempt(test_class, method, folders, seconds)
        if any(reaches_into_jvm(folder) for folder in folders):
            self.kill()
        return outcome

    def _attempt(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        if not self.is_running:
            self.start()
            self._request(warmup_of(_code_of(test_class, folders)), "test", folders, START_SECONDS)
            if not self.is_running:
                self.start()
        return self._request(test_class, method, folders, seconds)

    def _request(self, test_class: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
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
    codes = [path.read_bytes() for path in folder.rglob("*.class") if is_regular(path)]
    return any(JVM_INTERNALS.search(code) or (SYSTEM in code and LOAD in code) for code in codes)


def _code_of(test_class: str, folders: Sequence[Path]) -> bytes:
    """Return a compiled class; nothing where it is in none of the folders."""
    paths = [folder / f"{test_class.replace('.', '/')}.class" for folder in folders]
    return next((path.read_bytes() for path in paths if is_regular(path)), b"")
