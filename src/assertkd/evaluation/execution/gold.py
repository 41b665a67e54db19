"""Execution of the gold assertions, once for all models: whether they pass, and which mutants they kill."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.mutants import Mutant, mutants_of
from assertkd.evaluation.execution.pool import ExecutionPool, remove
from assertkd.evaluation.execution.runner import Runner, TestOutcome
from assertkd.evaluation.execution.units import Subject
from assertkd.jsonl import read_lines

NOT_COMPILED = "does not compile"

MUTANT_SECONDS, TIMES_AS_LONG = 2.0, 10.0
"""A test on a mutant may take so many seconds and so many times what it took on the original; then it is killed."""


@dataclass(frozen=True, slots=True)
class GoldExecution:
    """The outcome of a record's test with its gold assertion.

    Attributes:
        id: the record's.
        ended: `passed`, or why not.
        message: what is wrong; "" where it passes.
        made: number of mutants made.
        compiled: number of those that compile.
        counted: numbers, as in `mutants_of`, of the mutants that compile and on which the test passes without any
            assertion: only an assertion can detect them.
        killed: those of them that the test does not pass with the gold assertion.
    """

    id: str
    ended: str
    message: str
    made: int
    compiled: int
    counted: tuple[int, ...]
    killed: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the execution as a JSON object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, line: dict[str, Any]) -> "GoldExecution":
        """Return the execution of `as_dict`'s form."""
        return cls(**line | {name: tuple(line[name]) for name in ("counted", "killed")})


@dataclass(frozen=True, slots=True)
class ExecutionLimits:
    """What all executions of a stage share.

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
        """Return what is compiled to run a test with `text` as its assertion."""
        return subject.filled(text) | ({} if self.class_compiled else subject.tested())

    def mutants_of(self, subject: Subject) -> list[Mutant]:
        """Return the mutants of a record's focal method; none where it does not carry the class."""
        if not self.mutants or subject.class_source is None:
            return []
        return mutants_of(subject.class_source, subject.focal_method, self.mutants)

    def run_on_mutant(self, runner: Runner, subject: Subject, folders: Sequence[Path], original: TestOutcome) -> bool:
        """Return whether a test passes on a mutant, whose folder comes first; `original` says how long it took."""
        seconds = min(self.seconds, MUTANT_SECONDS + TIMES_AS_LONG * original.seconds)
        return runner.run(subject.test_class, subject.test_method, folders, seconds).passed


def mutant_units(pool: ExecutionPool, subject: Subject, mutants: Iterable[Mutant]) -> list[Unit]:
    """Return what is compiled for mutants of a record's class."""
    assert subject.class_file is not None or not mutants
    return [Unit(pool.new_folder(), {str(subject.class_file): mutant.source}) for mutant in mutants]


def gold_executions(
    pool: ExecutionPool,
    subjects: Iterable[tuple[Subject, str]],
    limits: ExecutionLimits,
    progress: Callable[[int], None] | None = None,
) -> Iterator[GoldExecution]:
    """Yield the outcome of each record's test with its gold assertion, in order.

    Args:
        pool: compiles and runs.
        subjects: each record's and its gold assertion.
        limits: of every execution.
        progress: called with the number of records that are done.
    """
    return pool.each(subjects, partial(_prepared, pool, limits), progress)


def _prepared(
    pool: ExecutionPool, limits: ExecutionLimits, batch: Sequence[tuple[Subject, str]]
) -> list[Callable[[Runner], GoldExecution]]:
    units: list[Unit] = []
    owned = []
    for subject, gold in batch:
        tests = [Unit(pool.new_folder(), limits.sources(subject, text)) for text in (gold, "")]
        mutants = mutant_units(pool, subject, limits.mutants_of(subject))
        owned.append((subject, len(mutants)))
        units += [*tests, *mutants]
    errors = pool.compile(units)
    work: list[Callable[[Runner], GoldExecution]] = []
    start = 0
    for subject, count in owned:
        end = start + 2 + count
        work.append(partial(_run, limits, subject, units[start:end], errors[start:end]))
        start = end
    return work


def _run(
    limits: ExecutionLimits, subject: Subject, units: Sequence[Unit], errors: Sequence[str | None], runner: Runner
) -> GoldExecution:
    (gold, bare, *mutants), (gold_error, bare_error, *mutant_errors) = [unit.folder for unit in units], errors
    try:
        if gold_error is not None:
            return GoldExecution(subject.id, NOT_COMPILED, gold_error, len(mutants), 0, (), ())
        outcome = runner.run(subject.test_class, subject.test_method, [gold], limits.seconds)
        compiled = [number for number, error in enumerate(mutant_errors) if error is None]
        if not outcome.passed:
            return GoldExecution(subject.id, outcome.ended, outcome.message, len(mutants), len(compiled), (), ())
        counted = [
            number
            for number in compiled
            # A test that does not compile without an assertion detects nothing without one.
            if bare_error is not None or limits.run_on_mutant(runner, subject, [mutants[number], bare], outcome)
        ]
        killed = [
            number for number in counted if not limits.run_on_mutant(runner, subject, [mutants[number], gold], outcome)
        ]
        return GoldExecution(subject.id, outcome.ended, "", len(mutants), len(compiled), tuple(counted), tuple(killed))
    finally:
        remove(unit.folder for unit in units)


def read_gold_executions(path: Path) -> dict[str, GoldExecution]:
    """Return record id to what `execute_gold` wrote of it.

    Raises:
        UserError: the file is missing or broken.
    """
    executions = read_lines(path, GoldExecution.from_dict, what="a gold assertion's execution", rule="execute_gold")
    return {execution.id: execution for execution in executions}
