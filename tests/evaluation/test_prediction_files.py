"""Predictions and references from files, and what is said of bad ones."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.import_predictions import import_predictions
from assertkd.evaluation.params import ImportPredictionsParams
from assertkd.evaluation.prediction_files import read_json_lines, read_own_references, read_references, with_predictions
from assertkd.predictions import Prediction, read_predictions
from assertkd.records import MARKER, Record, write_records

EXAMPLES = [
    Prediction("r1", "", "assertEquals(1, one());", {"project": "p"}),
    Prediction("r2", "", "assertEquals(2, two());"),
    Prediction("r3", "", "assertEquals(3, three());"),
]
LINES = [{"id": one.id, "prediction": f"fail({number});"} for number, one in enumerate(EXAMPLES)]


def jsonl(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def texts(predictions: list[Prediction]) -> list[str]:
    return [one.prediction for one in predictions]


def test_lines_of_json_are_found_by_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = jsonl(tmp_path / "p.jsonl", *reversed(LINES), {"id": "other", "prediction": "x"})
    with caplog.at_level(logging.WARNING):
        found = with_predictions(EXAMPLES, file)
    assert texts(found) == ["fail(0);", "fail(1);", "fail(2);"]
    assert [(one.id, one.reference, one.about) for one in found] == [(e.id, e.reference, e.about) for e in EXAMPLES]
    assert "1 prediction of other records" in caplog.text


def test_only_those_within_the_limit_are_needed(tmp_path: Path) -> None:
    assert texts(with_predictions(EXAMPLES, jsonl(tmp_path / "p.jsonl", *LINES[:2]), 2)) == ["fail(0);", "fail(1);"]


def test_json_is_known_by_its_first_line_too(tmp_path: Path) -> None:
    assert texts(with_predictions(EXAMPLES, jsonl(tmp_path / "p.txt", *LINES)))[2] == "fail(2);"


def test_the_first_of_several_fields_counts(tmp_path: Path) -> None:
    lines = [{**LINES[0], "teacher_prediction": "of the teacher"}, {**LINES[1], "teacher_prediction": None}, LINES[2]]
    fields = "teacher_prediction", "prediction"
    found = with_predictions(EXAMPLES, jsonl(tmp_path / "p.jsonl", *lines), fields=fields)
    assert texts(found) == ["of the teacher", "fail(1);", "fail(2);"]


def test_lines_of_text_are_statements_in_the_order_of_the_examples(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    # A line separator of Unicode and a form feed end no line.
    file.write_bytes('\ufeffassertTrue ( a )\r\n\n  fail ( "\u2028\f" ) ;'.encode())
    assert texts(with_predictions(EXAMPLES, file)) == ["assertTrue ( a ) ;", "", 'fail ( "\u2028\f" ) ;']
    assert len(with_predictions(EXAMPLES, file, 2)) == 2, "the file is still one of three examples"


def test_references_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("assertTrue ( a )\nfail ( )\n", encoding="utf-8")
    expected = [Prediction("1", "", "assertTrue ( a ) ;"), Prediction("2", "", "fail ( ) ;")]
    assert read_references(tmp_path / "r.txt") == expected


def test_a_file_may_have_its_own_references(tmp_path: Path) -> None:
    line = {**LINES[0], "reference": "fail();", "project": "p", "f1": 0.5}
    assert read_own_references(jsonl(tmp_path / "p.jsonl", line)) == [
        Prediction("r1", "fail(0);", "fail();", {"project": "p"})
    ]


def read_all(path: Path) -> list[Prediction]:
    return with_predictions(EXAMPLES, path)


@pytest.mark.parametrize("name", ["p.jsonl", "p.txt"])
@pytest.mark.parametrize("read", [read_all, read_references, read_own_references])
def test_a_missing_or_empty_file_is_said(read: Callable[[Path], object], name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{name}: no such file"):
        read(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"{name}: is empty"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("p.jsonl", b"\n\n", "p.jsonl: holds no predictions"),
        ("p.jsonl", b'{"id": "r1", "prediction": "x"}\n{"id"', "p.jsonl:2: not JSON"),
        ("p.json", b"[1]\n", "p.json:1: holds a JSON array"),
        ("p.json", b"\xef\xbb\xbf [1]\n", "p.json:1: holds a JSON array"),
        ("p.jsonl", b"[]\n", "p.jsonl:1: holds a JSON array"),
        ("p.jsonl", b"\xff\n", "p.jsonl:1: not UTF-8"),
        ("p.jsonl", b'{"prediction": "x"}\n', "p.jsonl:1: id is missing"),
        ("p.jsonl", b'{"id": "r1"}\n', "p.jsonl:1: prediction is missing"),
        ("p.jsonl", b'{"id": "r1", "prediction": 7}\n', "p.jsonl:1: prediction or reference is not a text"),
        ("p.jsonl", b'{"id": 1, "prediction": "x"}\n\n{"id": "1", "prediction": "x"}\n', "p.jsonl:3: the id '1' comes"),
        ("p.jsonl", b'{"id": "r2", "prediction": "x"}\n', "p.jsonl: has no prediction for 2 examples (first 'r1')"),
        ("p.txt", b"fail ( )\nfail ( )\n", "p.txt: 2 lines for 3 examples"),
        ("p.txt", b"a\nb\nc\n\n", "p.txt: 4 lines for 3 examples"),
        ("p.txt", b"a\n\xff\nc\n", "p.txt:2: not UTF-8"),
        ("p.txt", "a\nb\nc\n".encode("utf-16-le"), "p.txt: is UTF-16 or no text at all"),
        ("p.txt", b"first ( )\n\0b\nc\n", "p.txt:2: holds the character NUL"),
        ("p.txt", b"[MASK] a\nb\n", "p.txt: 2 lines for 3 examples"),
        ("p.json", b"[\n1]\n", "p.json:1: holds a JSON array"),
        ("p.json", b'[{"id": 1},\n', "p.json:1: holds a JSON array"),
    ],
)
def test_bad_predictions_are_said(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as fault:
        read_all(tmp_path / name)
    assert problem in fault.value.problem
    assert fault.value.remedy


@pytest.mark.parametrize(
    ("read", "content", "problem"),
    [
        (read_references, "fail ( )\n\nfail ( )\n", "file:2: no reference"),
        (read_references, '{"id": "r1"}\n', "file: holds JSON"),
        (read_own_references, "fail ( )\n", "file: text has no references"),
        (read_own_references, json.dumps(LINES[0]), "file: has no reference for 1 example (first 'r1')"),
    ],
)
def test_bad_references_are_said(read: Callable[[Path], object], content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as fault:
        read(tmp_path / "file")
    assert problem in fault.value.problem


def test_another_systems_predictions_become_those_of_the_test_split(tmp_path: Path) -> None:
    test = f"void t() {{ {MARKER}\n }}"
    write_records(tmp_path / "test.jsonl", [Record(one.id, "f", test, one.reference, "p/q") for one in EXAMPLES])
    (tmp_path / "p.txt").write_text("fail ( )\n\nassertEquals ( 3 , three ( ) )\n", encoding="utf-8")
    for limit, count in ((None, 3), (2, 2)):
        params, folder = ImportPredictionsParams(limit=limit), tmp_path / f"{count}"
        import_predictions(params, tmp_path / "test.jsonl", tmp_path / "p.txt", folder)
        found = list(read_predictions(folder / "predictions.jsonl"))
        assert texts(found) == ["fail ( ) ;", "", "assertEquals ( 3 , three ( ) ) ;"][:count]
        assert [one.about for one in found] == [{"project": "p/q"}] * count
        assert json.loads((folder / "measured.json").read_text()) == {"examples": count}


def test_half_of_a_surrogate_pair_is_no_prediction(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    file.write_text('{"id": "a", "prediction": "\\ud83d\\ude00"}\n{"id": "b", "prediction": "\\ud800"}\n')
    with pytest.raises(UserError, match=r"predictions\.jsonl:2: holds half of a surrogate pair"):
        read_json_lines(file, ("prediction",))
