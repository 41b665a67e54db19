"""Evaluation without a run: a model or a file of predictions, on any records, alone or against a teacher."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from assertkd.errors import UserError
from assertkd.evaluation.evaluation_records import EvaluationRecords, ExternalTeacher, read_evaluation_records
from assertkd.evaluation.execute import execute, execute_gold
from assertkd.evaluation.params import EvaluateParams, ExecuteGoldParams, PredictParams, ScoreParams
from assertkd.evaluation.predict import predict, prediction_of
from assertkd.evaluation.prediction_files import (
    PREDICTION,
    TEACHER_PREDICTION,
    is_jsonl,
    read_own_references,
    read_references,
    with_predictions,
)
from assertkd.evaluation.score import score
from assertkd.evaluation.teacher_logits import store_external_teacher_logits, store_teacher_logits
from assertkd.files import check_folder, read_json
from assertkd.layout import TEACHER, EvaluationLayout, RunLayout
from assertkd.models.length_limits import Limits, limits_of
from assertkd.predictions import Prediction, write_predictions
from assertkd.records import write_records
from assertkd.runtime.job import set_threads
from assertkd.runtime.logs import logged_to_stderr

STUDENT = "student"
"""Key of the evaluated model in `evaluation_metrics.json`."""

Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is evaluated, on what, and against which teacher.

    Attributes:
        model: a `final_model/` or an export, which predicts for `records`.
        predictions: a file of predictions in place of a model; see `prediction_files`.
        records: JSONL, raw or with a teacher's logits. With the teacher's predictions in it, these are the teacher's,
            unless `teacher` is given; alone, they are what is evaluated.
        references: text with one reference a line, in place of records.
        teacher: a model's folder, or a file of predictions.
    """

    model: Path | None = None
    predictions: Path | None = None
    records: Path | None = None
    references: Path | None = None
    teacher: Path | None = None

    @property
    def is_teacher_alone(self) -> bool:
        """Whether the teacher's predictions in the records are what is evaluated."""
        return self.model is None and self.predictions is None

    def check(self) -> None:
        """Refuse inputs that do not go together, or that are not there.

        Raises:
            UserError: naming them.
        """
        if self.model is not None and self.predictions is not None:
            raise UserError("--model and --predictions are both given", "Evaluate one at a time.")
        if self.references is not None and self.records is not None:
            raise UserError("--records and --references are both given", "Both hold the references: name one.")
        if self.model is not None and self.records is None:
            raise UserError("--model is given without --records", "Name a JSONL file of records with --records FILE.")
        if self.references is not None and self.predictions is None:
            raise UserError("--references is given without --predictions", "Name the predictions for these lines.")
        if self.is_teacher_alone:
            if self.records is None:
                raise UserError("there is nothing to evaluate", "Name a model with --model, or --predictions.")
            if self.teacher is not None:
                raise UserError(
                    "--teacher is given, but nothing to compare with it",
                    "Name --model or --predictions; to evaluate the teacher itself, name it there.",
                )
        if self.references is not None and self.predictions is not None and is_jsonl(self.predictions):
            raise UserError(
                f"{self.predictions}: JSONL with --references",
                "Lines of text belong together by their place: name text, or --records for JSONL.",
            )
        if self.model is not None and not self.model.is_dir():
            raise UserError(f"--model {self.model}: no such folder", "Name a final_model/ or an export.")
        if self.teacher is not None and not self.teacher.exists():
            raise UserError(f"--teacher {self.teacher}: no such file or folder", "Name a model's folder, or a file.")
        if self.teacher is not None and self.teacher.is_dir() and self.records is None:
            raise UserError(
                f"--teacher {self.teacher}: a model predicts for records, and there are none",
                "Name them with --records, or name a file with the teacher's predictions.",
            )


@dataclass(frozen=True, slots=True)
class _EvaluationData:
    """What is predicted for.

    Attributes:
        examples: every example, without its prediction.
        records: all of them; None where there are references alone.
        records_file: those records that `limit` leaves; None likewise.
        teacher: what their lines hold of a teacher, if it is to be used.
    """

    examples: list[Prediction]
    records: EvaluationRecords | None = None
    records_file: Path | None = None
    teacher: ExternalTeacher | None = None


def evaluate(inputs: Inputs, params: EvaluateParams, folder: Path, processes: int = 1) -> dict[str, Any]:
    """Write what `predict`, `execute` and `score` write in a run to `folder`; return its `evaluation_metrics.json`.

    The same of the teacher goes to `folder/teacher/`. A model has the figures that it has in a run on the same records.

    Args:
        inputs: what is evaluated.
        params: how.
        folder: made if it is missing; must not hold anything of an evaluation.
        processes: that score and execute.

    Raises:
        UserError: the inputs do not go together, one is missing or bad, or `folder` holds a part of an evaluation.
    """
    inputs.check()
    output, teacher_output = EvaluationLayout(folder), EvaluationLayout(folder / TEACHER)
    _check_free(output)
    _check_free(teacher_output)
    with TemporaryDirectory() as name:
        scratch = Path(name)
        data = _read(inputs, params, scratch)
        has_teacher = not inputs.is_teacher_alone and (inputs.teacher is not None or data.teacher is not None)
        # Files come before models, so that a fault in a file is found at once.
        if has_teacher and inputs.model is not None:
            _predict_as_teacher(inputs, params, data, teacher_output)
        _predict(inputs, params, data, output, scratch)
        if has_teacher and inputs.model is None:
            _predict_as_teacher(inputs, params, data, teacher_output)
        layouts = [teacher_output, output] if has_teacher else [output]
        is_executed = params.evaluation.execute.enabled is not False and data.records_file is not None
        if is_executed:
            _execute(params, data, layouts, scratch, processes)
        score_params = ScoreParams.of(params.evaluation)
        for layout in layouts:
            score(
                score_params,
                layout.predictions,
                teacher_output.folder if has_teacher and layout is output else None,
                layout.folder,
                layout.execution if is_executed else None,
                processes,
                alone_as=TEACHER if layout is teacher_output or inputs.is_teacher_alone else STUDENT,
            )
    return dict(read_json(output.comparison))


def _check_free(output: EvaluationLayout) -> None:
    """Refuse what is no folder, or has files of another evaluation, whose costs would be taken for this one's."""
    check_folder(output.folder, "Name another folder with --output.")
    files = output.comparison, output.summary, output.examples, output.table, output.predictions, output.measured
    for file in (*files, output.execution, output.execution_summary):
        if file.exists():
            raise UserError(f"{file}: exists already", "Name another folder with --output.")


def _read(inputs: Inputs, params: EvaluateParams, scratch: Path) -> _EvaluationData:
    if inputs.references is not None:
        return _EvaluationData(read_references(inputs.references))
    if inputs.records is None:
        assert inputs.predictions is not None, "checked"
        return _EvaluationData([replace(one, prediction="") for one in read_own_references(inputs.predictions)])
    records = read_evaluation_records(inputs.records, params.reading)
    records_file = scratch / "records.jsonl"
    write_records(records_file, records.records[: params.evaluation.limit])
    examples = [prediction_of(record, "") for record in records.records]
    # The teacher's predictions of the file have no effect where another teacher is named.
    teacher = None if inputs.teacher is not None else records.teacher(is_needed=inputs.is_teacher_alone)
    return _EvaluationData(examples, records, records_file, teacher)


def _predict(
    inputs: Inputs, params: EvaluateParams, data: _EvaluationData, output: EvaluationLayout, scratch: Path
) -> None:
    """Write the predictions that are evaluated: a model's, those of a file, or else the teacher's in the records."""
    if inputs.model is not None and data.records_file is not None:
        logits = _teacher_logits(inputs, inputs.model, params, data, scratch / "logits")
        _predict_by_model(inputs.model, params, data.records_file, logits, output)
    elif inputs.predictions is not None:
        limit = params.evaluation.limit
        write_predictions(output.predictions, with_predictions(data.examples, inputs.predictions, limit))
    elif data.teacher is not None:
        _write_external_teacher(params, data.examples, data.teacher, output)
    else:
        raise UserError(
            f"{inputs.records}: there is nothing to evaluate, since no line has a teacher_prediction",
            "Name a model with --model, or a file with --predictions.",
        )


def _predict_as_teacher(
    inputs: Inputs, params: EvaluateParams, data: _EvaluationData, output: EvaluationLayout
) -> None:
    """Write the teacher's predictions: those in the records, a model's, or those of a file."""
    if data.teacher is not None:
        _write_external_teacher(params, data.examples, data.teacher, output)
    elif inputs.teacher is not None and inputs.teacher.is_dir() and data.records_file is not None:
        _predict_by_model(inputs.teacher, params, data.records_file, None, output)
    elif inputs.teacher is not None:
        fields = TEACHER_PREDICTION, PREDICTION
        predictions = with_predictions(data.examples, inputs.teacher, params.evaluation.limit, fields)
        write_predictions(output.predictions, predictions)


def _write_external_teacher(
    params: EvaluateParams, examples: list[Prediction], teacher: ExternalTeacher, output: EvaluationLayout
) -> None:
    wanted = examples[: params.evaluation.limit]
    write_predictions(output.predictions, (replace(one, prediction=teacher.predictions[one.id]) for one in wanted))


def _predict_by_model(
    model: Path, params: EvaluateParams, records_file: Path, logits: Path | None, output: EvaluationLayout
) -> None:
    limits = _limits(model, params)
    predict_params = PredictParams(
        evaluation=params.evaluation, max_input_len=limits.input, max_output_len=limits.output
    )
    _in_fresh_process(predict, predict_params, model, records_file, logits, output.folder)


def _teacher_logits(
    inputs: Inputs, model: Path, params: EvaluateParams, data: _EvaluationData, folder: Path
) -> Path | None:
    """Return the store of the teacher's logits, which is made here; None where there are no logits."""
    limits, records, records_file = _limits(model, params), data.records, data.records_file
    assert records is not None and records_file is not None, "a model predicts for records"
    if inputs.teacher is not None and inputs.teacher.is_dir():
        return _in_fresh_process(
            store_teacher_logits, params.evaluation, model, limits, inputs.teacher, records_file, folder
        )
    if data.teacher is None or not data.teacher.has_logits:
        return None
    return store_external_teacher_logits(model, limits, records, records_file, folder)


def _limits(model: Path, params: EvaluateParams) -> Limits:
    return limits_of(model, params.max_input_len, params.max_output_len)


def _execute(
    params: EvaluateParams, data: _EvaluationData, layouts: list[EvaluationLayout], scratch: Path, workers: int
) -> None:
    assert data.records_file is not None, "only records are executed"
    records_file = data.records_file
    files = RunLayout(scratch)
    gold, summary = files.gold_execution, files.gold_summary
    execute_params = ExecuteGoldParams(execute=params.evaluation.execute)
    execute_gold(execute_params, records_file, gold, summary, workers)
    for layout in layouts:
        execute(execute_params, records_file, gold, summary, layout.folder, workers)


def _in_fresh_process(function: Callable[..., Returned], *arguments: Any) -> Returned:
    """Return what a function returns in a process of its own, whose peak memory is therefore its own too."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_logged, function, *arguments).result()


def _logged(function: Callable[..., Returned], *arguments: Any) -> Returned:
    with logged_to_stderr():
        # As in the workflow; a process of its own would have as many as there are cores.
        set_threads(1)
        return function(*arguments)
