"""What a model's assertions do: whether they compile, pass, and kill the mutants that their gold assertions could."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.gold import NOT_COMPILED, Execution, GoldRun, mutant_units
from assertkd.evaluation.execution.runner import PASSED, Runner
from assertkd.evaluation.execution.units import Subject, asserts, says_something_in_gap
from assertkd.evaluation.execution.workshop import Workshop, remove

NO_STATEMENT = "no whole statement"
NO_ASSERTION = "no assertion"


@dataclass(frozen=True, slots=True)
class Case:
    """A prediction for a record whose gold assertion passes."""

    subject: Subject
    gold: GoldRun
    gold_text: str
    text: str


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
    workshop: Workshop,
    cases: Iterable[Case],
    execution: Execution,
    progress: Callable[[int], None] | None = None,
) -> Iterator[PredictedRun]:
    """Yield how each record's test goes with its prediction, in order.

    Args:
        workshop: compiles and runs.
        cases: the predictions.
        execution: limits, the same that the gold assertions were executed with.
        progress: called with the number of predictions that are done.
    """
    return workshop.each(cases, partial(_prepared, workshop, execution), progress)


def _prepared(
    workshop: Workshop, execution: Execution, batch: Sequence[Case]
) -> list[Callable[[Runner], PredictedRun]]:
    units: list[Unit] = []
    owned: list[tuple[Case, list[Unit]]] = []
    for case in batch:
        own: list[Unit] = []
        if case.text.strip() != case.gold_text.strip() and says_something_in_gap(case.text):
            own.append(Unit(workshop.new_folder(), execution.sources(case.subject, case.text)))
            if asserts(case.text) and case.gold.counted:
                mutants = execution.mutants_of(case.subject)
                own += mutant_units(workshop, case.subject, [mutants[number] for number in case.gold.counted])
        units += own
        owned.append((case, own))
    errors = workshop.compile(units)
    work: list[Callable[[Runner], PredictedRun]] = []
    start = 0
    for case, own in owned:
        error = errors[start] if own else None
        start += len(own)
        work.append(partial(_run, execution, case, own, error))
    return work


def _run(execution: Execution, case: Case, units: Sequence[Unit], error: str | None, runner: Runner) -> PredictedRun:
    folders = [unit.folder for unit in units]
    try:
        if not units:
            if case.text.strip() == case.gold_text.strip():
                return _ended(case, PASSED, "", len(case.gold.killed))
            return _ended(case, NO_STATEMENT, "")
        if error is not None:
            return _ended(case, NOT_COMPILED, error)
        if not asserts(case.text):
            return _ended(case, NO_ASSERTION, "")
        test, *mutants = folders
        subject = case.subject
        run = runner.run(subject.test_class, subject.test_method, [test], execution.seconds)
        if not run.passed:
            return _ended(case, run.ended, run.message)
        killed = sum(not execution.run_on_mutant(runner, subject, [mutant, test], run) for mutant in mutants)
        return _ended(case, PASSED, "", killed)
    finally:
        remove(folders)


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
