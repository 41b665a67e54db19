"""What a model's assertions do: whether they compile, pass, and kill the mutants that their gold assertions could."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.gold import NOT_COMPILED, Execution, GoldRun, mutant_units
from assertkd.evaluation.execution.mutants import Mutant
from assertkd.evaluation.execution.pool import ExecutionPool, remove
from assertkd.evaluation.execution.runner import PASSED, Runner
from assertkd.evaluation.execution.units import Subject, asserts, is_whole_statement

NO_STATEMENT = "no whole statement"
NO_ASSERTION = "no assertion"


@dataclass(frozen=True, slots=True)
class Case:
    """A prediction for a record whose gold assertion passes."""

    subject: Subject
    gold: GoldRun
    gold_text: str
    text: str

    @property
    def is_gold(self) -> bool:
        """Whether it is the gold assertion to the letter, of which all is known."""
        return self.text.strip() == self.gold_text.strip()


@dataclass(frozen=True, slots=True)
class PredictedRun:
    """How a record's test goes with a predicted assertion in its gap.

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

    def as_dict(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


def run_predicted(
    execution_pool: ExecutionPool,
    cases: Iterable[Case],
    execution: Execution,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PredictedRun]:
    """Yield how each record's test goes with its prediction, in order.

    Args:
        execution_pool: compiles and runs.
        cases: the predictions.
        execution: limits, the same that the gold assertions were executed with.
        progress: called with the number of predictions that are done.
    """
    return execution_pool.each(cases, partial(_prepared, execution_pool, execution), progress)


def _prepared(
    execution_pool: ExecutionPool, execution: Execution, batch: Sequence[Case]
) -> list[Callable[[Runner], PredictedRun]]:
    tests = {
        case.subject.id: Unit(execution_pool.new_folder(), execution.sources(case.subject, case.text))
        for case in batch
        if not case.is_gold and is_whole_statement(case.text)
    }
    errors = dict(zip(tests, execution_pool.compile(list(tests.values())), strict=True))
    mutants = {
        case.subject.id: mutant_units(execution_pool, case.subject, counted_mutants(execution, case))
        for case in batch
        if errors.get(case.subject.id, "") is None and asserts(case.text)
    }
    execution_pool.compile([unit for units in mutants.values() for unit in units])
    return [
        partial(_run, execution, case, tests.get(name), errors.get(name), mutants.get(name, ()))
        for case in batch
        for name in [case.subject.id]
    ]


def counted_mutants(execution: Execution, case: Case) -> list[Mutant]:
    """Return the mutants that count for a record."""
    mutants = execution.mutants_of(case.subject) if case.gold.counted else []
    return [mutants[number] for number in case.gold.counted]


def _run(
    execution: Execution, case: Case, test: Unit | None, error: str | None, mutants: Sequence[Unit], runner: Runner
) -> PredictedRun:
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
        run = runner.run(subject.test_class, subject.test_method, [test.folder], execution.seconds)
        if not run.passed:
            return _ended(case, run.ended, run.message)
        killed = sum(
            not execution.run_on_mutant(runner, subject, [mutant.folder, test.folder], run) for mutant in mutants
        )
        return _ended(case, PASSED, "", killed)
    finally:
        remove(unit.folder for unit in (test, *mutants))


def _ended(case: Case, ended: str, message: str, killed: int = 0) -> PredictedRun:
    return PredictedRun(
        id=case.subject.id,
        compiles=ended not in (NO_STATEMENT, NOT_COMPILED),
        passes=ended == PASSED,
        ended=ended,
        message=message,
        mutants=len(case.gold.counted),
        killed=killed,
        gold_killed=len(case.gold.killed),
    )
