"""What the gold assertions do, once for all models: whether they pass, and which mutants they kill."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.mutants import Mutant, mutants_of
from assertkd.evaluation.execution.pool import ExecutionPool, remove
from assertkd.evaluation.execution.runner import Runner, TestRun
from assertkd.evaluation.execution.units import Subject

NOT_COMPILED = "does not compile"

MUTANT_SECONDS, TIMES_AS_LONG = 2.0, 10.0
"""A test on a mutant may take so many seconds and so many times what it took on the original; then it is killed."""


@dataclass(frozen=True, slots=True)
class GoldRun:
    """How a record's test goes with its gold assertion.

    Attributes:
        id: the record's.
        ended: `passed`, or why not.
        message: what is wrong; "" where it passes.
        made: number of mutants made.
        compiled: number of those that compile.
        counted: numbers of those mutants that compile and that the test passes with nothing in its gap: whoever
            notices one of them has the assertion to thank. The numbers are those of `mutants_of`.
        killed: those of them that the test does not pass with the gold assertion.
    """

    id: str
    ended: str
    message: str
    made: int
    compiled: int
    counted: tuple[int, ...]
    killed: tuple[int, ...]

    def as_dict(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Execution:
    """What all executions of a run share.

    Attributes:
        seconds: time limit of a test.
        mutants: most mutants of a focal method; 0 makes none.
        class_compiled: whether the class under test is on the class path already, compiled, so that its source only
            serves for mutants.
    """

    seconds: float = 5.0
    mutants: int = 8
    class_compiled: bool = False

    def sources(self, subject: Subject, text: str) -> dict[str, str]:
        """Return what is compiled to run a test with `text` in its gap."""
        return subject.filled(text) | ({} if self.class_compiled else subject.tested())

    def mutants_of(self, subject: Subject) -> list[Mutant]:
        """Return the mutants of a record's focal method; none where it does not carry the class."""
        if not self.mutants or subject.class_source is None:
            return []
        return mutants_of(subject.class_source, subject.focal_method, self.mutants)

    def run_on_mutant(self, runner: Runner, subject: Subject, folders: Sequence[Path], original: TestRun) -> bool:
        """Return whether a test passes on a mutant, whose folder comes first; `original` says how long it took."""
        seconds = min(self.seconds, MUTANT_SECONDS + TIMES_AS_LONG * original.seconds)
        return runner.run(subject.test_class, subject.test_method, folders, seconds).passed


def mutant_units(execution_pool: ExecutionPool, subject: Subject, mutants: Iterable[Mutant]) -> list[Unit]:
    """Return what is compiled for mutants of a record's class."""
    assert subject.class_file is not None or not mutants
    return [Unit(execution_pool.new_folder(), {str(subject.class_file): mutant.source}) for mutant in mutants]


def run_gold(
    execution_pool: ExecutionPool,
    subjects: Iterable[tuple[Subject, str]],
    execution: Execution,
    progress: Callable[[int], None] | None = None,
) -> Iterator[GoldRun]:
    """Yield how each record's test goes with its gold assertion, in order.

    Args:
        execution_pool: compiles and runs.
        subjects: each record's and its gold assertion.
        execution: limits.
        progress: called with the number of records that are done.
    """
    return execution_pool.each(subjects, partial(_prepared, execution_pool, execution), progress)


def _prepared(
    execution_pool: ExecutionPool, execution: Execution, batch: Sequence[tuple[Subject, str]]
) -> list[Callable[[Runner], GoldRun]]:
    units: list[Unit] = []
    owned = []
    for subject, gold in batch:
        tests = [Unit(execution_pool.new_folder(), execution.sources(subject, text)) for text in (gold, "")]
        mutants = mutant_units(execution_pool, subject, execution.mutants_of(subject))
        owned.append((subject, len(mutants)))
        units += [*tests, *mutants]
    errors = execution_pool.compile(units)
    work: list[Callable[[Runner], GoldRun]] = []
    start = 0
    for subject, count in owned:
        end = start + 2 + count
        work.append(partial(_run, execution, subject, units[start:end], errors[start:end]))
        start = end
    return work


def _run(
    execution: Execution, subject: Subject, units: Sequence[Unit], errors: Sequence[str | None], runner: Runner
) -> GoldRun:
    (gold, gap, *mutants), (gold_error, gap_error, *mutant_errors) = [unit.folder for unit in units], errors
    try:
        if gold_error is not None:
            return GoldRun(subject.id, NOT_COMPILED, gold_error, len(mutants), 0, (), ())
        run = runner.run(subject.test_class, subject.test_method, [gold], execution.seconds)
        compiled = [number for number, error in enumerate(mutant_errors) if error is None]
        if not run.passed:
            return GoldRun(subject.id, run.ended, run.message, len(mutants), len(compiled), (), ())
        counted = [
            number
            for number in compiled
            # Where the test does not compile without an assertion, all that it notices is the assertion's merit.
            if gap_error is not None or execution.run_on_mutant(runner, subject, [mutants[number], gap], run)
        ]
        killed = [
            number for number in counted if not execution.run_on_mutant(runner, subject, [mutants[number], gold], run)
        ]
        return GoldRun(subject.id, run.ended, "", len(mutants), len(compiled), tuple(counted), tuple(killed))
    finally:
        remove(unit.folder for unit in units)


def read_gold_runs(path: Path) -> dict[str, GoldRun]:
    """Return record id to what `execute_gold` wrote of it.

    Raises:
        UserError: the file is missing or broken.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `execute_gold` first.")
    runs = {}
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                fields = json.loads(line)
                run = GoldRun(**fields | {name: tuple(fields[name]) for name in ("counted", "killed")})
            except (ValueError, KeyError, TypeError) as fault:
                raise UserError(
                    f"{path}:{number}: no gold assertion's execution ({fault!r})",
                    "Delete the file and rerun `execute_gold`.",
                ) from None
            runs[run.id] = run
    return runs
