"""The rule `import_predictions`: test predictions of another system, from their file."""

from pathlib import Path

from assertkd.evaluation.params import ImportPredictionsParams
from assertkd.evaluation.predict import prediction_of
from assertkd.evaluation.prediction_files import with_predictions
from assertkd.files import write_json
from assertkd.layout import EvaluationLayout
from assertkd.predictions import Prediction, write_predictions
from assertkd.records import read_records


def import_predictions(params: ImportPredictionsParams, test_file: Path, predictions_file: Path, folder: Path) -> None:
    """Write `predictions.jsonl` and `measured.json` to `folder`; without a model, size and speed are not measured.

    Args:
        params: how many test records are used.
        test_file: the test split.
        predictions_file: the system's; see `with_predictions`.
        folder: where the files go.

    Raises:
        UserError: a file is missing or broken, or a test record has no prediction.
    """
    output = EvaluationLayout(folder)
    predictions = predictions_on(test_file, predictions_file, params.limit)
    write_predictions(output.predictions, predictions)
    write_json(output.measured, {"examples": len(predictions)})


def predictions_on(test_file: Path, predictions_file: Path, limit: int | None) -> list[Prediction]:
    """Return the predictions of a system on the first `limit` test records, all with None.

    Raises:
        UserError: as `import_predictions`.
    """
    examples = [prediction_of(record, "") for record in read_records(test_file)]
    return with_predictions(examples, predictions_file, limit)
