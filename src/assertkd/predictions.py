"""The predictions file: one line an example, with the prediction and the reference."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.files import written_whole

PASSED_THROUGH = ("project", "assertion_type", "family")
"""Fields that say what sort of example it is; kept where the corpus has them."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model wrote for one example.

    Attributes:
        id: the record's.
        prediction: the model's text.
        reference: the gold assertion.
        about: those of `PASSED_THROUGH` that the record has.
    """

    id: str
    prediction: str
    reference: str
    about: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the example as one flat JSON object."""
        return {"id": self.id, "prediction": self.prediction, "reference": self.reference} | self.about


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write predictions to `path` as JSONL, whole."""
    with written_whole(path) as handle:
        for prediction in predictions:
            handle.write(json.dumps(prediction.as_dict(), ensure_ascii=False) + "\n")


def read_predictions(path: Path) -> list[Prediction]:
    """Return the predictions of a file.

    Raises:
        UserError: as `each_prediction`.
    """
    return list(each_prediction(path))


def each_prediction(path: Path) -> Iterator[Prediction]:
    """Yield the predictions of a file, one line at a time.

    Raises:
        UserError: the file is missing or empty, a line is no prediction, or an id comes twice.
    """
    remedy = "Delete it and rerun `predict`."
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `predict` first.")
    ids: set[str] = set()
    with path.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                fields = json.loads(line)
                about = {name: fields[name] for name in PASSED_THROUGH if fields.get(name) is not None}
                one = Prediction(fields["id"], fields["prediction"], fields["reference"], about)
            except (ValueError, KeyError, TypeError, AttributeError) as fault:
                raise UserError(f"{path}:{number}: not a prediction ({fault!r})", remedy) from None
            if not (isinstance(one.prediction, str) and isinstance(one.reference, str)):
                raise UserError(f"{path}:{number}: prediction and reference have to be texts", remedy)
            if one.id in ids:
                raise UserError(f"{path}:{number}: id {one.id!r} comes a second time", remedy)
            ids.add(one.id)
            yield Prediction(one.id, _storable(one.prediction), _storable(one.reference), about)
    if not ids:
        raise UserError(f"{path}: holds no predictions", "Check that the test split has records, then rerun `predict`.")


def _storable(text: str) -> str:
    """Return `text` with `?` for halves of surrogate pairs, which JSON may hold and UTF-8 may not."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
