"""The test predictions of a teacher that ran elsewhere."""

import json
from pathlib import Path

import pytest

from assertkd.corpus.targets import write_teacher_predictions
from assertkd.errors import UserError
from assertkd.evaluation.params import PredictExternalTeacherParams
from assertkd.evaluation.predict_external_teacher import predict_external_teacher
from assertkd.predictions import Prediction, read_predictions
from assertkd.records import Record, write_records

RECORDS = [Record(f"r{n}", "int f()", "void t()", f"assertEquals({n}, f());", "p/q") for n in range(3)]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The test split, and predictions for all of it but the last."""
    write_records(tmp_path / "test.jsonl", RECORDS)
    texts = {"train": {"r2": "of another split"}, "test": {"r1": "assertTrue(f());", "r0": "assertNull(f());"}}
    write_teacher_predictions(tmp_path / "teacher_predictions.jsonl", texts)
    return tmp_path / "test.jsonl", tmp_path / "teacher_predictions.jsonl"


def test_the_predictions_stand_in_the_order_of_the_test(files: tuple[Path, Path], tmp_path: Path) -> None:
    predict_external_teacher(PredictExternalTeacherParams(limit=2), *files, tmp_path / "out")
    assert list(read_predictions(tmp_path / "out/predictions.jsonl")) == [
        Prediction("r0", "assertNull(f());", "assertEquals(0, f());", {"project": "p/q"}),
        Prediction("r1", "assertTrue(f());", "assertEquals(1, f());", {"project": "p/q"}),
    ]
    assert json.loads((tmp_path / "out/measured.json").read_text(encoding="utf-8")) == {"examples": 2}


def test_a_record_without_prediction_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 test records have no teacher_prediction \\(first 'r2'\\)"):
        predict_external_teacher(PredictExternalTeacherParams(), *files, tmp_path / "out")
    assert not (tmp_path / "out").exists()
