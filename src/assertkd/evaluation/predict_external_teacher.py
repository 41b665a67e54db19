"""The rule `predict_external_teacher`: test predictions of a teacher that ran elsewhere, from their file."""

from itertools import islice
from pathlib import Path

from assertkd.corpus.targets import read_teacher_predictions
from assertkd.errors import UserError
from assertkd.evaluation.params import PredictExternalTeacherParams
from assertkd.evaluation.predict import prediction_of
from assertkd.files import write_json
from assertkd.layout import EvaluationLayout
from assertkd.predictions import write_predictions
from assertkd.records import read_records


def predict_external_teacher(
    params: PredictExternalTeacherParams, test_file: Path, predictions_file: Path, folder: Path
) -> None:
    """Write `predictions.jsonl` and `measured.json` to `folder`; without a model, size and speed are not measured.

    Args:
        params: how many test records are used.
        test_file: the test split.
        predictions_file: `teacher_predictions.jsonl` of the logits stage.
        folder: where the files go.

    Raises:
        UserError: a file is missing or broken, or a test record has no prediction (its id is named).
    """
    output = EvaluationLayout(folder)
    texts = read_teacher_predictions(predictions_file, "test")
    records = list(islice(read_records(test_file), params.limit))
    missing = [record.id for record in records if record.id not in texts]
    if missing:
        raise UserError(
            f"{len(missing)} test records have no teacher_prediction (first {missing[0]!r})",
            "Add it to every line of the test's file: data.distillation_jsonl.test, or else train.",
        )
    write_predictions(output.predictions, (prediction_of(record, texts[record.id]) for record in records))
    write_json(output.measured, {"examples": len(records)})
