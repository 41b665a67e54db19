"""What training records are to write, with and without gold, and the file of the teacher's predictions."""

from pathlib import Path

import pytest

from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import Supervision, read_teacher_predictions, training_targets, write_teacher_predictions
from assertkd.errors import UserError
from assertkd.records import Record

RECORDS = [Record(f"r{n}", "f", "t", f"gold{n}") for n in range(10)]
PREDICTIONS = {f"r{n}": f"predicted{n}" for n in range(10)}


def test_all_gold() -> None:
    supervision = Supervision(64, 32, labelled_share=1.0, seed=0)
    gold = {record.id: record.assertion for record in RECORDS}
    assert training_targets(RECORDS, supervision, {}) == gold
    assert training_targets(RECORDS, supervision, PREDICTIONS) == gold


def test_the_teacher_speaks_where_gold_is_withheld() -> None:
    supervision = Supervision(64, 32, labelled_share=0.3, seed=5)
    labelled = labelled_ids([record.id for record in RECORDS], 0.3, 5)
    assert len(labelled) == 3
    targets = training_targets(RECORDS, supervision, PREDICTIONS)
    assert list(targets) == [record.id for record in RECORDS]
    for record in RECORDS:
        expected = record.assertion if record.id in labelled else PREDICTIONS[record.id]
        assert targets[record.id] == expected


def test_unlabelled_records_without_prediction_are_left_out() -> None:
    supervision = Supervision(64, 32, labelled_share=0.3, seed=5)
    labelled = labelled_ids([record.id for record in RECORDS], 0.3, 5)
    assert set(training_targets(RECORDS, supervision, {})) == labelled
    extra = next(record.id for record in RECORDS if record.id not in labelled)
    assert set(training_targets(RECORDS, supervision, {extra: ""})) == labelled | {extra}


def test_predictions_round_trip_by_split(tmp_path: Path) -> None:
    path = tmp_path / "folder/predictions.jsonl"
    predictions = {
        "train": {"a": 'assertEquals("ü\u2028\\n", x);', "b": ""},
        "validation": {"a": "one\ntwo"},
        "test": {},
    }
    write_teacher_predictions(path, predictions)
    assert {split: read_teacher_predictions(path, split) for split in predictions} == predictions


@pytest.mark.parametrize("bad", [b"{", b"[1]", b'"x"', b'{"split": "train"}', b"\xff"])
def test_a_damaged_line_is_named(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "predictions.jsonl"
    write_teacher_predictions(path, {"train": {"a": "x"}})
    path.write_bytes(path.read_bytes() + bad + b"\n")
    with pytest.raises(UserError) as caught:
        read_teacher_predictions(path, "train")
    assert caught.value.problem.startswith(f"{path}:2: not a prediction")
    assert "\n" not in caught.value.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_teacher_predictions(tmp_path / "none.jsonl", "train")
