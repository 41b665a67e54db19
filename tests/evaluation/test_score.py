"""Scoring small prediction files by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.metrics import EXAMPLE_METRICS
from assertkd.evaluation.score import score
from assertkd.models.encoders import TextEncoder

LINES = [
    {"id": "a", "prediction": "assertTrue(x);", "reference": "assertTrue(x);", "project": "p", "family": "bounds"},
    {"id": "b", "prediction": "assertTrue(y);", "reference": "assertTrue(x);", "assertion_type": "assertTrue"},
    {"id": "c", "prediction": "", "reference": "fail();"},
    {"id": "d", "prediction": "Assert.fail();", "reference": "fail();"},
]
TEACHER = [
    {"id": "d", "prediction": "fail();", "reference": "fail();"},
    {"id": "c", "prediction": "fail();", "reference": "fail();"},
    {"id": "b", "prediction": "assertTrue(y);", "reference": "assertTrue(x);"},
    {"id": "a", "prediction": "assertTrue(x);", "reference": "assertTrue(x);"},
]


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_teacher_is_scored_alone(tmp_path: Path) -> None:
    summary = score(written(tmp_path / "p.jsonl", LINES), None, tmp_path / "out", resamples=200, seed=3)
    assert summary == json.loads((tmp_path / "out/metrics_summary_final.json").read_text())
    assert summary["n"] == 4
    assert list(summary["metrics"]) == list(EXAMPLE_METRICS)
    means = {name: figures["mean"] for name, figures in summary["metrics"].items()}
    assert means["exact_match"] == pytest.approx(1 / 4)
    assert means["exact_match_lenient"] == pytest.approx(2 / 4)
    assert means["ast_validity"] == means["syntax_validity"] == means["assertion_form"] == pytest.approx(3 / 4)
    # fail ( ) ;  is 4 tokens, Assert . fail ( ) ;  is 6.
    assert means["f1"] == pytest.approx((1 + 4 / 5 + 0 + 8 / 10) / 4)
    for figures in summary["metrics"].values():
        assert 0 <= figures["low"] <= figures["mean"] <= figures["high"] <= 1
    assert 0 < summary["corpus_bleu"]["score"] < 1
    assert summary["bootstrap"] == {"level": 0.95, "resamples": 200, "seed": 3}
    assert json.loads((tmp_path / "out/evaluation_metrics.json").read_text()) == {"teacher": summary}


def test_every_example_is_written(tmp_path: Path) -> None:
    score(written(tmp_path / "p.jsonl", LINES), None, tmp_path, resamples=10)
    lines = [json.loads(line) for line in (tmp_path / "predictions_final.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["a", "b", "c", "d"]
    assert lines[0] == LINES[0] | {"teacher_prediction": None} | {name: pytest.approx(1.0) for name in EXAMPLE_METRICS}
    assert lines[1]["assertion_type"] == "assertTrue"
    assert lines[1]["token_accuracy"] == pytest.approx(4 / 5)

    with (tmp_path / "metrics_final.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["id", *EXAMPLE_METRICS]
    for row, line in zip(rows, lines, strict=True):
        assert row["id"] == line["id"]
        assert all(float(row[name]) == line[name] for name in EXAMPLE_METRICS)


def test_a_student_is_scored_against_its_teacher(tmp_path: Path) -> None:
    student, teacher = written(tmp_path / "s.jsonl", LINES), written(tmp_path / "t.jsonl", TEACHER)
    score(student, teacher, tmp_path / "out", resamples=200)
    result = json.loads((tmp_path / "out/evaluation_metrics.json").read_text())
    assert result["teacher"]["metrics"]["exact_match"]["mean"] == pytest.approx(3 / 4)
    assert result["student"] == json.loads((tmp_path / "out/metrics_summary_final.json").read_text())
    assert list(result["gaps"]) == list(EXAMPLE_METRICS)
    assert result["gaps"]["exact_match"]["mean"] == pytest.approx(3 / 4 - 1 / 4)
    for name, gap in result["gaps"].items():
        teacher_mean, student_mean = (result[who]["metrics"][name]["mean"] for who in ("teacher", "student"))
        assert gap["mean"] == pytest.approx(teacher_mean - student_mean)
        assert gap["low"] <= gap["mean"] + 1e-12
        assert gap["high"] >= gap["mean"] - 1e-12
    # Predictions of both: equal, equal, "" against 4 tokens, 6 tokens against 4 of them.
    assert result["output_agreement"]["mean"] == pytest.approx((1 + 1 + 0 + 8 / 10) / 4)
    assert result["exact_agreement"]["mean"] == pytest.approx(2 / 4)
    lines = [json.loads(line) for line in (tmp_path / "out/predictions_final.jsonl").read_text().splitlines()]
    assert [line["teacher_prediction"] for line in lines] == ["assertTrue(x);", "assertTrue(y);", "fail();", "fail();"]


def test_an_encoder_adds_semantic_similarity(tmp_path: Path, minilm: TextEncoder) -> None:
    student, teacher = written(tmp_path / "s.jsonl", LINES), written(tmp_path / "t.jsonl", TEACHER)
    summary = score(student, teacher, tmp_path / "out", encoder=minilm, resamples=10)
    lines = [json.loads(line) for line in (tmp_path / "out/predictions_final.jsonl").read_text().splitlines()]
    values = [line["semantic_similarity"] for line in lines]
    assert (values[0], values[2]) == (1.0, 0.0)
    assert 0 < values[1] < 1
    assert list(summary["metrics"]) == [*EXAMPLE_METRICS, "semantic_similarity"]
    assert summary["metrics"]["semantic_similarity"]["mean"] == pytest.approx(sum(values) / 4)
    comparison = json.loads((tmp_path / "out/evaluation_metrics.json").read_text())
    assert comparison["gaps"]["semantic_similarity"]["mean"] > 0
    assert "semantic_similarity" in (tmp_path / "out/metrics_final.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("teacher", "problem"),
    [
        (TEACHER[:-1], "lacks 1 example (first 'a')"),
        ([*TEACHER, TEACHER[0] | {"id": "e"}], "holds 1 example (first 'e')"),
        ([TEACHER[0] | {"reference": "other();"}, *TEACHER[1:]], "has another reference for 1 example (first 'd')"),
        ([*TEACHER, TEACHER[0]], "t.jsonl:5: id 'd' comes a second time"),
        ([], "holds no predictions"),
    ],
)
def test_teacher_and_student_hold_the_same_examples(
    tmp_path: Path, teacher: list[dict[str, Any]], problem: str
) -> None:
    student_file, teacher_file = written(tmp_path / "s.jsonl", LINES), written(tmp_path / "t.jsonl", teacher)
    with pytest.raises(UserError) as fault:
        score(student_file, teacher_file, tmp_path / "out", resamples=10)
    assert problem in fault.value.problem
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no predictions"),
        ("{}\n", ":1: not a prediction"),
        ("[]\n", ":1: not a prediction"),
        ('{"id": "a", "prediction": "x", "reference": "y"}\nnot json\n', ":2: not a prediction"),
        ('{"id": "a", "prediction": null, "reference": "y"}\n', ":1: prediction and reference have to be texts"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as fault:
        score(path, None, tmp_path / "out", resamples=10)
    assert str(path) in fault.value.problem
    assert problem in fault.value.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        score(tmp_path / "absent.jsonl", None, tmp_path / "out", resamples=10)
