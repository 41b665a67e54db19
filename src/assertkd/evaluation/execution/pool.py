"""One compiler and several runners in a temporary folder: what a batch of assertions is executed with."""

import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Self, TypeVar

from assertkd.errors import UserError
from assertkd.evaluation.execution.compiler import Compiler, Unit
from assertkd.evaluation.execution.confine import CannotConfineError, Confinement, find_confinement, may_be_anybody
from assertkd.evaluation.execution.folders import remove_folder
from assertkd.evaluation.execution.frameworks import packages_of, programs, split_class_path
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.runner import Runner

Case = TypeVar("Case")
Result = TypeVar("Result")

AT_A_TIME = 200
"""Cases that are compiled together."""


class ExecutionPool:
    """A compiler and runners; use it in a `with` block.

    Args:
        toolchain: JDK and test frameworks.
        class_path: what tests are compiled and run against beside these; frameworks in it replace them.
        workers: runners, each in a JVM of its own.
        heap_mb: Java heap of each, in MiB.
        unconfined: whether the processes run unconfined where they cannot be confined.

    Raises:
        CannotConfineError: they cannot be confined here, and are to be.
    """

    def __init__(
        self,
        toolchain: Toolchain,
        class_path: Sequence[Path] = (),
        *,
        workers: int = 2,
        heap_mb: int = 256,
        unconfined: bool = False,
    ) -> None:
        self.toolchain = toolchain
        self.libraries, self.class_path = split_class_path([path.resolve() for path in class_path], toolchain.junit)
        self._packages = packages_of(self.libraries)
        try:
            self._confinement: Confinement | None = find_confinement(toolchain.java)
        except CannotConfineError:
            if not unconfined:
                raise
            self._confinement = None
            if may_be_anybody():
                for path in (toolchain.java, *self.libraries, *self.class_path):
                    _check_open_to_others(path)
                _check_open_to_others(Path(tempfile.gettempdir()).resolve(), is_read=False)
        self._workers, self._heap_mb = workers, heap_mb
        self._runners: SimpleQueue[Runner] = SimpleQueue()
        self._folders = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self.folder = Path(tempfile.mkdtemp(prefix="assertkd-")).resolve()
            opening.callback(remove_folder, self.folder)
            if self._confinement is None and may_be_anybody():
                # Processes are other users, who pass through.
                self.folder.chmod(0o711)
            self._classes = self.folder / "classes"
            home, self._program = self.folder / "compiler", self.folder / "runner"
            for made in (self._classes, home):
                made.mkdir()
                made.chmod(0o755)
            self._compiler = opening.enter_context(
                Compiler(self.toolchain, self._confinement, [*self.libraries, *self.class_path], home)
            )
            self._all_runners: list[Runner] = []
            for number in range(self._workers):
                home = self.folder / f"runner{number}"
                home.mkdir()
                runner = Runner(
                    self.toolchain.java,
                    self._confinement,
                    self._program,
                    self._classes,
                    self.libraries,
                    self.class_path,
                    home,
                    self._heap_mb,
                )
                self._all_runners.append(opening.enter_context(runner))
                self._runners.put(runner)
            # A process ends with the thread that started it.
            self._threads = opening.enter_context(ThreadPoolExecutor(self._workers))
            # Without waiting for what runs, which may take long, where a signal ends the stage.
            opening.callback(self._stop)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def _stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for runner in self._all_runners:
            runner.end()

    @property
    def isolation(self) -> Literal["bubblewrap", "none"]:
        """What confines the processes."""
        return "none" if self._confinement is None else "bubblewrap"

    def new_folder(self) -> Path:
        """Return a folder for a unit's classes, which does not exist yet."""
        self._folders += 1
        return self._classes / f"{self._folders}"

    def compile(self, units: Sequence[Unit]) -> list[str | None]:
        """Return for each unit None where it compiled, or its first error.

        One that declares types in a package of the test frameworks is refused: their own would be run.

        The first of all also makes the program that runs tests: where nothing compiles, no JVM starts.

        Raises:
            UserError: that program does not compile with the test frameworks that are there.
        """
        refusals = [self._refusal(unit) for unit in units]
        accepted = [unit for unit, refusal in zip(units, refusals, strict=True) if refusal is None]
        if accepted and not self._program.exists():
            self._compile_program()
        errors = iter(self._compiler.compile(accepted))
        return [refusal or next(errors) for refusal in refusals]

    def _compile_program(self) -> None:
        [error] = self._compiler.compile([Unit(self._program, programs(self.libraries))], processors=False)
        if error is not None:
            raise UserError(
                f"{self.toolchain.java}: the program that runs tests does not compile ({error})",
                "Name other jars in evaluation.execute.junit: JUnit 4.11, JUnit 5.4 or TestNG 6.9 or newer.",
            )

    def _refusal(self, unit: Unit) -> str | None:
        package = next(iter(self._packages.intersection(unit.packages)), None)
        return package and f"its package {package.replace('/', '.')} is one of the test frameworks'"

    def each(
        self,
        cases: Iterable[Case],
        prepare: Callable[[Sequence[Case]], Sequence[Callable[[Runner], Result]]],
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Result]:
        """Yield the result of every case, in order; one batch is compiled while the one before runs.

        Args:
            cases: whatever `prepare` takes.
            prepare: compiles a batch of cases and returns for each what is to be run.
            progress: called with the number of cases that are done.
        """
        done = 0
        left = iter(cases)
        running: deque[list[Future[Result]]] = deque()
        try:
            while (batch := list(islice(left, AT_A_TIME))) or running:
                if batch:
                    running.append([self._threads.submit(self._with_runner, work) for work in prepare(batch)])
                if len(running) > 1 or not batch:
                    for future in running.popleft():
                        yield future.result()
                        done += 1
                if progress is not None:
                    progress(done)
        finally:
            for future in (future for batch in running for future in batch):
                future.cancel()

    def _with_runner(self, work: Callable[[Runner], Result]) -> Result:
        runner = self._runners.get()
        try:
            return work(runner)
        finally:
            self._runners.put(runner)


def _check_open_to_others(path: Path, *, is_read: bool = True) -> None:
    """Raise UserError where others than root cannot read a file or folder, as whom nothing is run unconfined.

    Args:
        path: an absolute path.
        is_read: whether it is read itself, and not passed through only, as its parents are.
    """
    for part in (path, *path.parents):
        needed = {"r": stat.S_IROTH if is_read and part == path else 0, "x": stat.S_IXOTH if part.is_dir() else 0}
        absent = "".join(letter for letter, bit in needed.items() if bit & ~part.stat().st_mode)
        if absent:
            raise UserError(
                f"{path}: only root can read it ({part} is closed to others), and root runs nothing unconfined",
                f"Open it with chmod o+{absent} {part}, or run the workflow as another user.",
            )


def remove(units: Iterable[Unit]) -> None:
    """Remove the classes of units that are of no more use."""
    for unit in units:
        remove_folder(unit.folder)
