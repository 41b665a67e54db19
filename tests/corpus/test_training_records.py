"""Which records a model trains on, and with which targets."""

from collections.abc import Collection
from pathlib import Path

import pytest

from assertkd.corpus.targets import index_teacher_predictions, write_teacher_predictions
from assertkd.corpus.training_records import Part, TrainingRecords
from assertkd.errors import UserError
from assertkd.jsonl import LineIndex
from assertkd.records import Record, write_records

RECORDS = [Record(f"r{n}", f"int f{n}();", "// <ASSERTION_PLACEHOLDER>", f"gold{n};") for n in range(6)]
PREDICTIONS = {"train": {f"r{n}": f"said{n};" for n in (5, 4, 3, 1)}, "validation": {"r0": "of another split;"}}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_records(tmp_path / "train.jsonl", RECORDS)
    write_records(tmp_path / "more.jsonl", [Record("m0", "int m();", "// <ASSERTION_PLACEHOLDER>", "golden;")])
    write_teacher_predictions(tmp_path / "teacher_predictions.jsonl", PREDICTIONS)
    return tmp_path


def targets(corpus: Path, gold: Collection[str], predicted: Collection[str]) -> TrainingRecords:
    records = LineIndex(corpus / "train.jsonl", "prepare_corpus")
    predictions = index_teacher_predictions(corpus / "teacher_predictions.jsonl", "train")
    return TrainingRecords([Part(records, predictions, gold, predicted)])


def all_gold(file: Path) -> Part:
    index = LineIndex(file, "prepare_corpus")
    return Part(index, None, gold=index, predicted=())


def read(records: TrainingRecords, *numbers: int) -> list[tuple[str, str]]:
    return [(record.id, target) for record, target in records.read(numbers or range(len(records)))]


def test_all_gold(corpus: Path) -> None:
    records = TrainingRecords([all_gold(corpus / "train.jsonl")])
    assert list(records.read(range(6))) == [(record, record.assertion) for record in RECORDS]
    assert read(records, 1, 4) == [("r1", "gold1;"), ("r4", "gold4;")]


def test_each_target_is_an_example(corpus: Path) -> None:
    records = targets(corpus, gold={"r0", "r1", "r3"}, predicted={"r0", "r1", "r2", "r4"})
    # The teacher said nothing for r0 and r2, and r5 is not wanted at all.
    assert read(records) == [("r0", "gold0;"), ("r1", "gold1;"), ("r1", "said1;"), ("r3", "gold3;"), ("r4", "said4;")]
    assert records.targets.tolist() == [1, 2, 1, 1]
    assert read(records, 1, 3) == [("r1", "gold1;"), ("r1", "said1;"), ("r4", "said4;")]


def test_parts_stand_behind_each_other(corpus: Path) -> None:
    more = all_gold(corpus / "more.jsonl")
    first = Part(LineIndex(corpus / "train.jsonl", "prepare_corpus"), None, {"r2", "r5"}, {"r1"})
    records = TrainingRecords([first, more, first])
    assert read(records) == [
        *[("r2", "gold2;"), ("r5", "gold5;")],
        ("m0", "golden;"),
        *[("r2", "gold2;"), ("r5", "gold5;")],
    ]
    assert read(records, 1, 2, 4) == [("r5", "gold5;"), ("m0", "golden;"), ("r5", "gold5;")]


def test_a_line_that_is_no_record_is_named(corpus: Path) -> None:
    (corpus / "train.jsonl").write_text('{"id": "r0"}\n', encoding="utf-8")
    records = TrainingRecords([all_gold(corpus / "train.jsonl")])
    with pytest.raises(UserError, match=r"train\.jsonl: 'r0' is no record"):
        list(records.read([0]))
