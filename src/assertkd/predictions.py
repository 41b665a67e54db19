"""The predictions file: one line an example, with the prediction and the reference."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.jsonl import LineError, read_lines, storable, write_lines

PASSED_THROUGH = ("project", "assertion_type", "family")
"""Fields that say what sort of example it is; kept where the corpus has them."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model wrote for one record, beside the gold assertion and the `PASSED_THROUGH` that the record has."""

    id: str
    prediction: str
    reference: str
    about: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the example as one flat JSON object."""
        return {"id": self.id, "prediction": self.prediction, "reference": self.reference} | self.about


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions to `path` as JSONL, whole."""
    write_lines(path, (prediction.as_dict() for prediction in predictions))


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Yield the predictions of a file, one line at a time.

    Raises:
        UserError: the file is missing or empty, a line is no prediction, or an id comes twice.
    """
    ids: set[str] = set()

    def prediction_of(line: dict[str, Any]) -> Prediction:
        identity, text, reference = line["id"], line["prediction"], line["reference"]
        if not (isinstance(text, str) and isinstance(reference, str)):
            raise LineError("prediction and reference have to be texts")
        if identity in ids:
            raise LineError(f"id {identity!r} comes a second time")
        ids.add(identity)
        about = {name: line[name] for name in PASSED_THROUGH if line.get(name) is not None}
        return Prediction(identity, storable(text), storable(reference), about)

    yield from read_lines(path, prediction_of, what="a prediction", rule="predict")
    if not ids:
        raise UserError(f"{path}: holds no predictions", "Check that the test split has records, then rerun `predict`.")
