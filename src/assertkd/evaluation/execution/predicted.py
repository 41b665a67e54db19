"""Execution of a model's assertions: whether they compile, pass, and kill the mutants that count."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.gold import NOT_COMPILED, GoldExecution, mutant_units, passes_on_mutant, sources_of
from assertkd.evaluation.execution.pool import ExecutionPool, remove
from assertkd.evaluation.execution.runner import PASSED, Runner
from assertkd.evaluation.execution.units import Subject, asserts, is_whole_statement
from assertkd.jsonl import read_lines
from assertkd.settings import ExecuteSettings

NO_STATEMENT = "no whole statement"
NO_ASSERTION = "no assertion"


@dataclass(frozen=True, slots=True)
class Case:
    """A prediction for a record whose gold assertion passes."""

    subject: Subject
    gold: GoldExecution
    text: str

    @property
    def is_gold(self) -> bool:
        """Whether it is the gold assertion itself, whose execution is known."""
        return self.text.strip() == self.subject.gold.strip()


@dataclass(frozen=True, slots=True)
class PredictedExecution:
    """The outcome of a record's test with a predicted assertion.

    Attributes:
        id: the record's.
        compiles: whether it is one or more whole statements that javac accepts there.
        passes: whether it compiles, is an assertion, and the test passes with it.
        ended: `passed`, or why it does not pass.
        message: what is wrong; "" where it passes.
        mutants: how many mutants count for the record.
        killed: how many of them it kills; one that does not pass kills none.
        gold_killed: how many of them the gold assertion kills.
    """

    id: str
    compiles: bool
    passes: bool
    ended: str
    message: str
    mutants: int
    killed: int
    gold_killed: int


def read_executions(path: Path) -> list[PredictedExecution]:
    """Return what `execute` wrote; nothing where nothing could be executed.

    Raises:
        UserError: the file is missing or broken.
    """
    return list(
        read_lines(path, lambda line: PredictedExecution(**line), what="an assertion's execution", rule="execute")
    )


def predicted_executions(
    pool: ExecutionPool, cases: Iterable[Case], settings: ExecuteSettings, progress: Callable[[int], None] | None = None
) -> Iterator[PredictedExecution]:
    """Yield the outcome of each record's test with its prediction, in order.

    Args:
        pool: compiles and runs.
        cases: the predictions.
        settings: those of the gold assertions.
        progress: called with the number of predictions that are done.
    """
    return pool.each(cases, partial(_prepared, pool, settings), progress)


def _prepared(
    pool: ExecutionPool, settings: ExecuteSettings, batch: Sequence[Case]
) -> list[Callable[[Runner], PredictedExecution]]:
    tests = {
        case.subject.id: Unit(pool.new_folder(), sources_of(settings, case.subject, case.text))
        for case in batch
        if not case.is_gold and is_whole_statement(case.text)
    }
    errors = dict(zip(tests, pool.compile(list(tests.values())), strict=True))
    mutants = {
        case.subject.id: [units[number] for number in case.gold.counted]
        for case in batch
        if case.gold.counted and errors.get(case.subject.id, "") is None and asserts(case.text)
        for units in [mutant_units(pool, settings, case.subject)]
    }
    pool.compile([unit for units in mutants.values() for unit in units])
    return [
        partial(_run, settings, case, tests.get(name), errors.get(name), mutants.get(name, ()))
        for case in batch
        for name in [case.subject.id]
    ]


def _run(
    settings: ExecuteSettings, case: Case, test: Unit | None, error: str | None, mutants: Sequence[Unit], runner: Runner
) -> PredictedExecution:
    if case.is_gold:
        return _ended(case, PASSED, "", len(case.gold.killed))
    if test is None:
        return _ended(case, NO_STATEMENT, "")
    if error is not None:
        return _ended(case, NOT_COMPILED, error)
    try:
        if not asserts(case.text):
            return _ended(case, NO_ASSERTION, "")
        subject = case.subject
        outcome = runner.run(subject.test_class, subject.test_method, [test.folder], settings.seconds)
        if not outcome.passed:
            return _ended(case, outcome.ended, outcome.message)
        survive = [passes_on_mutant(settings, runner, subject, [mutant, test], outcome) for mutant in mutants]
        return _ended(case, PASSED, "", survive.count(False))
    finally:
        remove([test, *mutants])


def _ended(case: Case, ended: str, message: str, killed: int = 0) -> PredictedExecution:
    return PredictedExecution(
        id=case.subject.id,
        compiles=ended not in (NO_STATEMENT, NOT_COMPILED),
        passes=ended == PASSED,
        ended=ended,
        message=message,
        mutants=len(case.gold.counted),
        killed=killed,
        gold_killed=len(case.gold.killed),
    )
