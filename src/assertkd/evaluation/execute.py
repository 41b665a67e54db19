"""The rules `execute_gold` and `execute`: assertions compiled and run, or a sentence that says why they cannot be."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.execution.build import class_path_of
from assertkd.evaluation.execution.confine import CannotConfineError
from assertkd.evaluation.execution.gold import gold_executions, read_gold_executions
from assertkd.evaluation.execution.jdk import ToolMissingError, find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.predicted import Case, predicted_executions
from assertkd.evaluation.execution.runner import PASSED
from assertkd.evaluation.execution.units import Subject, subject_of, with_sources
from assertkd.evaluation.params import ExecuteGoldParams, ExecuteParams
from assertkd.files import read_json, write_json
from assertkd.jsonl import write_lines
from assertkd.layout import EvaluationLayout
from assertkd.predictions import read_predictions
from assertkd.records import Record, read_records
from assertkd.runtime.progress import Progress
from assertkd.settings import ExecuteSettings

LISTED = 20
"""Failing gold assertions that a summary lists."""

NO_CODE = (
    "no record carries the code to build (test_source, and class_source unless evaluation.execute.class_path has the "
    "compiled classes)"
)

log = logging.getLogger(__name__)


def execute_gold(
    params: ExecuteGoldParams, test_file: Path, output: Path, summary_file: Path, workers: int = 2
) -> None:
    """Execute the gold assertions of the test split; write one line a record to `output`, and a summary.

    The summary's `absent` is a sentence where nothing could be executed; then `output` is empty.

    Args:
        params: how to execute, and of how many records.
        test_file: the test split.
        output: `gold_execution.jsonl`.
        summary_file: `gold_execution.json`.
        workers: JVMs that run tests.

    Raises:
        UserError: `enabled` is true and nothing can be executed, or a setting names what is not there.
    """
    started = time.monotonic()
    records = list(islice(read_records(test_file), params.limit))
    subjects = runnable(params.execute, records)
    pool = _pool(params.execute, subjects, workers)
    if isinstance(pool, str):
        _write_absent(params.execute, pool, output, summary_file)
        return
    with pool:
        executions = list(gold_executions(pool, subjects, params.execute, Progress("executed", len(subjects)).at))
    write_lines(output, map(asdict, executions))
    failing = [execution for execution in executions if execution.ended != PASSED]
    if failing:
        log.warning(
            "%d of %d gold assertions do not pass (first %s: %s, %s); their records are not evaluated",
            *(len(failing), len(executions), failing[0].id, failing[0].ended, failing[0].message),
        )
    write_json(
        summary_file,
        {
            "absent": None,
            "records": len(records),
            "without_code": len(records) - len(subjects),
            "executed": len(executions),
            "ended": dict(Counter(one.ended for one in executions).most_common()),
            "failing": [{"id": one.id, "ended": one.ended, "message": one.message} for one in failing[:LISTED]],
            "mutants": {
                "made": sum(one.made for one in executions),
                "compiled": sum(one.compiled for one in executions),
                "counted": sum(len(one.counted) for one in executions),
                "killed_by_gold": sum(len(one.killed) for one in executions),
            },
            "java": pool.toolchain.version,
            "junit": [str(jar) for jar in pool.libraries],
            "isolation": pool.isolation,
            "seconds": round(time.monotonic() - started, 2),
        },
    )


def execute(
    params: ExecuteParams, test_file: Path, gold_file: Path, gold_summary_file: Path, folder: Path, workers: int = 2
) -> None:
    """Execute a model's predictions; write one line a record whose gold assertion passes, and a summary.

    The summary's `absent` says why where nothing could be executed.

    Args:
        params: how to execute.
        test_file: the test split.
        gold_file: what `execute_gold` wrote.
        gold_summary_file: its summary.
        folder: the model's evaluation, with its predictions; `execution.jsonl` and `execution.json` go there.
        workers: JVMs that run tests.

    Raises:
        UserError: an input is missing or broken.
    """
    started = time.monotonic()
    output = EvaluationLayout(folder)
    absent = read_json(gold_summary_file)["absent"]
    if absent is not None:
        _write_absent(params.execute, absent, output.execution, output.execution_summary)
        return
    gold = read_gold_executions(gold_file)
    texts = {one.id: one.prediction for one in read_predictions(output.predictions)}
    records = (record for record in read_records(test_file) if record.id in texts)
    subjects = {subject.id: subject for subject in runnable(params.execute, records)}
    cases = [
        Case(subjects[id_], execution, texts[id_])
        for id_, execution in gold.items()
        if execution.ended == PASSED and id_ in subjects
    ]
    pool = _pool(params.execute, list(subjects.values()), workers)
    if isinstance(pool, str):
        raise UserError(pool, "The gold assertions were executed on another machine: rerun `execute_gold` here.")
    with pool:
        executions = list(predicted_executions(pool, cases, params.execute, Progress("executed", len(cases)).at))
    write_lines(output.execution, map(asdict, executions))
    write_json(
        output.execution_summary,
        {
            "absent": None,
            "predictions": len(texts),
            "judged": len(executions),
            "ended": dict(Counter(one.ended for one in executions).most_common()),
            "mutants": {
                "counted": sum(one.mutants for one in executions),
                "killed": sum(one.killed for one in executions),
                "killed_by_gold": sum(one.gold_killed for one in executions),
            },
            "isolation": pool.isolation,
            "seconds": round(time.monotonic() - started, 2),
        },
    )


def runnable(settings: ExecuteSettings, records: Iterable[Record]) -> list[Subject]:
    """Return what is run for those records whose code is there: the test's, and the tested class's or compiled ones."""
    if settings.checkout is not None:
        checkout = Path(settings.checkout)
        if not checkout.is_dir():
            raise UserError(
                f"evaluation.execute.checkout: {checkout}: no such folder", "Name the mined project's folder."
            )
        records = (with_sources(record, checkout) for record in records)
    subjects = map(subject_of, records)
    return [one for one in subjects if one is not None and (settings.class_path or one.tested)]


def _pool(settings: ExecuteSettings, subjects: Sequence[Subject], workers: int) -> ExecutionPool | str:
    """Return what to execute with, or the sentence that says why nothing can be executed."""
    if not subjects:
        return NO_CODE
    if settings.class_path == "build":
        if settings.checkout is None:
            raise UserError(
                "evaluation.execute.class_path is build, but no project is named",
                "Set evaluation.execute.checkout to its folder.",
            )
        class_path = class_path_of(Path(settings.checkout))
    else:
        class_path = [Path(entry) for entry in settings.class_path]
    for entry in class_path:
        if not entry.exists():
            raise UserError(
                f"evaluation.execute.class_path: {entry}: no such file or folder", "Build the project first."
            )
    try:
        toolchain = find_toolchain(settings.jdk_home, settings.junit)
        return ExecutionPool(
            toolchain, class_path, workers=workers, heap_mb=settings.memory_mb, unconfined=settings.unconfined
        )
    except CannotConfineError as fault:
        return f"{fault}; evaluation.execute.unconfined: true runs it unconfined"
    except ToolMissingError as missing:
        return str(missing)


def _write_absent(settings: ExecuteSettings, why: str, output: Path, summary_file: Path) -> None:
    if settings.enabled is True:
        raise UserError(
            f"evaluation.execute.enabled is true, but assertions cannot be executed: {why}",
            "Provide it, or set evaluation.execute.enabled to auto.",
        )
    log.info("assertions are not executed: %s", why)
    write_lines(output, ())
    write_json(summary_file, {"absent": why})
