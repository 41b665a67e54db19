"""One compiler and several runners in a temporary folder: what a batch of assertions is executed with."""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar

from assertkd.errors import UserError
from assertkd.evaluation.execution.compiler import Compiler, Unit
from assertkd.evaluation.execution.frameworks import programs, split_class_path
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.process import Isolation, best_isolation
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
        isolation: how the processes are confined; None for the best that works here.
    """

    def __init__(
        self,
        toolchain: Toolchain,
        class_path: Sequence[Path] = (),
        *,
        workers: int = 2,
        heap_mb: int = 256,
        isolation: Isolation | None = None,
    ) -> None:
        self.toolchain = toolchain
        self.libraries, self.class_path = split_class_path([path.resolve() for path in class_path], toolchain.junit)
        self.isolation = isolation or best_isolation()
        self._workers, self._heap_mb = workers, heap_mb
        self._runners: SimpleQueue[Runner] = SimpleQueue()
        self._folders = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self.folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="assertkd-"))).resolve()
            self._classes = self.folder / "classes"
            self._classes.mkdir()
            self._compiler = opening.enter_context(
                Compiler(self.toolchain, self.isolation, [*self.libraries, *self.class_path], self._classes)
            )
            program = self._classes / "runner"
            [error] = self.compile([Unit(program, programs(self.libraries))])
            if error is not None:
                raise UserError(
                    f"{self.toolchain.java}: the program that runs tests does not compile ({error})",
                    "Name other jars in evaluation.execute.junit: JUnit 4.11, JUnit 5.4 or TestNG 6.9 or newer.",
                )
            for number in range(self._workers):
                home = self.folder / f"runner{number}"
                home.mkdir()
                runner = Runner(
                    self.toolchain.java,
                    self.isolation,
                    program,
                    self.libraries,
                    self.class_path,
                    home,
                    self._heap_mb,
                )
                self._runners.put(opening.enter_context(runner))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def new_folder(self) -> Path:
        """Return a folder for a unit's classes, which does not exist yet."""
        self._folders += 1
        return self._classes / f"{self._folders}"

    def compile(self, units: Sequence[Unit]) -> list[str | None]:
        """Return for each unit None where it compiled, or its first error."""
        return self._compiler.compile(units)

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
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                while (batch := list(islice(left, AT_A_TIME))) or running:
                    if batch:
                        running.append([pool.submit(self._with_runner, work) for work in prepare(batch)])
                    if len(running) > 1 or not batch:
                        for future in running.popleft():
                            yield future.result()
                            done += 1
                    if progress is not None:
                        progress(done)
            finally:
                pool.shutdown(cancel_futures=True)

    def _with_runner(self, work: Callable[[Runner], Result]) -> Result:
        runner = self._runners.get()
        try:
            return work(runner)
        finally:
            self._runners.put(runner)


def remove(units: Iterable[Unit]) -> None:
    """Remove the classes of units that are of no more use."""
    for unit in units:
        shutil.rmtree(unit.folder, ignore_errors=True)
