"""Execution of the gold assertions, once for all models: whether they pass, and which mutants they kill."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.mutants import mutants_of
from assertkd.evaluation.execution.pool import ExecutionPool, remove
from assertkd.evaluation.execution.runner import Runner, TestOutcome
from assertkd.evaluation.execution.units import Subject
from assertkd.jsonl import read_lines
from assertkd.settings import ExecuteSettings

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
    counted: Sequence[int]
    killed: Sequence[int]


def sources_of(settings: ExecuteSettings, subject: Subject, text: str) -> dict[str, str]:
    """Return what is compiled to run a test with `text` as its assertion; a class path has the class under test."""
    return subject.filled(text) | ({} if settings.class_path else subject.tested)


def mutant_units(pool: ExecutionPool, settings: ExecuteSettings, subject: Subject) -> list[Unit]:
    """Return what is compiled for the mutants of a record's focal method; none where it does not carry the class."""
    return [
        Unit(pool.new_folder(), {file: mutant})
        for file, source in subject.tested.items()
        for mutant in mutants_of(source, subject.focal_method, settings.mutants, subject.focal_line)
    ]


def passes_on_mutant(
    settings: ExecuteSettings, runner: Runner, subject: Subject, units: Sequence[Unit], original: TestOutcome
) -> bool:
    """Return whether a test passes on a mutant, whose unit comes first; `original` says how long it took without."""
    seconds = min(settings.seconds, MUTANT_SECONDS + TIMES_AS_LONG * original.seconds)
    return runner.run(subject.test_class, subject.test_method, [unit.folder for unit in units], seconds).passed


def gold_executions(
    pool: ExecutionPool,
    subjects: Iterable[Subject],
    settings: ExecuteSettings,
    progress: Callable[[int], None] | None = None,
) -> Iterator[GoldExecution]:
    """Yield the outcome of each record's test with its gold assertion, in order.

    Args:
        pool: compiles and runs.
        subjects: the records.
        settings: limits, and whether the class under test is compiled already.
        progress: called with the number of records that are done.
    """
    return pool.each(subjects, partial(_prepared, pool, settings), progress)


def _prepared(
    pool: ExecutionPool, settings: ExecuteSettings, batch: Sequence[Subject]
) -> list[Callable[[Runner], GoldExecution]]:
    units = [
        [
            *(Unit(pool.new_folder(), sources_of(settings, subject, text)) for text in (subject.gold, "")),
            *mutant_units(pool, settings, subject),
        ]
        for subject in batch
    ]
    errors = iter(pool.compile([unit for own in units for unit in own]))
    return [
        partial(_run, settings, subject, own, list(islice(errors, len(own))))
        for subject, own in zip(batch, units, strict=True)
    ]


def _run(
    settings: ExecuteSettings, subject: Subject, units: Sequence[Unit], errors: Sequence[str | None], runner: Runner
) -> GoldExecution:
    (gold, bare, *mutants), (gold_error, bare_error, *mutant_errors) = units, errors
    try:
        if gold_error is not None:
            return GoldExecution(subject.id, NOT_COMPILED, gold_error, len(mutants), 0, (), ())
        outcome = runner.run(subject.test_class, subject.test_method, [gold.folder], settings.seconds)
        compiled = [number for number, error in enumerate(mutant_errors) if error is None]
        if not outcome.passed:
            return GoldExecution(subject.id, outcome.ended, outcome.message, len(mutants), len(compiled), (), ())
        passes = partial(passes_on_mutant, settings, runner, subject, original=outcome)
        # A test that does not compile without an assertion detects nothing without one.
        counted = tuple(n for n in compiled if bare_error is not None or passes([mutants[n], bare]))
        killed = tuple(n for n in counted if not passes([mutants[n], gold]))
        return GoldExecution(subject.id, outcome.ended, "", len(mutants), len(compiled), counted, killed)
    finally:
        remove(units)


def read_gold_executions(path: Path) -> dict[str, GoldExecution]:
    """Return record id to what `execute_gold` wrote of it.

    Raises:
        UserError: the file is missing or broken.
    """
    lines = read_lines(
        path, lambda line: GoldExecution(**line), what="a gold assertion's execution", rule="execute_gold"
    )
    return {execution.id: execution for execution in lines}
