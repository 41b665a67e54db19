"""Scoring small prediction files by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.metrics_table import read_metrics
from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.score import score
from assertkd.evaluation.shuffled import SHUFFLED
from assertkd.metrics.registry import METRICS, pair_metrics
from assertkd.models.encoders import PACKAGED

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


FEW = ScoreParams(encoder=None, bootstrap_resamples=10)
EMBEDDED = FEW.model_copy(update={"encoder": PACKAGED})
PARTS = {"ngram", "weighted_ngram", "syntax", "dataflow"}


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_teacher_is_scored_alone(tmp_path: Path) -> None:
    params = ScoreParams(encoder=None, bootstrap_resamples=200, bootstrap_seed=3)
    summary = score(params, written(tmp_path / "p.jsonl", LINES), None, tmp_path / "out")
    assert summary == json.loads((tmp_path / "out/metrics_summary_final.json").read_text())
    assert summary["n"] == 4
    assert list(summary["metrics"]) == list(pair_metrics())
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
    assert summary["timed_out"] == 0
    assert set(summary["codebleu_parts"]) == PARTS | {"without_dataflow"}
    assert summary["codebleu_parts"]["dataflow"] is None
    assert summary["codebleu_parts"]["without_dataflow"] == 1.0
    comparison = json.loads((tmp_path / "out/evaluation_metrics.json").read_text())
    assert comparison == {"teacher": summary, "cost": {"teacher": {}}}


def test_executed_assertions_join_the_metrics(tmp_path: Path) -> None:
    about = {"compiles": True, "ended": "", "message": "", "gold_killed": 4}
    runs = [about | {"id": "a", "passes": True, "mutants": 4, "killed": 1}]
    runs += [about | {"id": "d", "passes": False, "mutants": 0, "killed": 0}]
    executed = written(tmp_path / "execution.jsonl", runs)
    summary = score(FEW, written(tmp_path / "p.jsonl", LINES), None, tmp_path / "out", executed)
    assert summary == json.loads((tmp_path / "out/metrics_summary_final.json").read_text())
    figures = {
        name: (summary["metrics"][name]["mean"], summary["metrics"][name]["n"])
        for name in ("compiles", "passes", "kills", "gold_kills")
    }
    assert figures == {"compiles": (1.0, 2), "passes": (0.5, 2), "kills": (0.25, 1), "gold_kills": (1.0, 1)}


def test_every_example_is_written(tmp_path: Path) -> None:
    score(FEW, written(tmp_path / "p.jsonl", LINES), None, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "predictions_final.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["a", "b", "c", "d"]
    assert lines[0] == LINES[0] | {
        "teacher_prediction": None,
        "kind": "assertTrue",
        "target_tokens": 5,
        "timed_out": False,
        "codebleu_parts": {"ngram": 1.0, "weighted_ngram": 1.0, "syntax": 1.0, "dataflow": None},
        **{name: pytest.approx(1.0) for name in pair_metrics()},
    }
    assert (lines[0]["project"], lines[1]["project"]) == ("p", None)
    assert (lines[1]["assertion_type"], lines[2]["kind"], lines[2]["target_tokens"]) == ("assertTrue", "fail", 4)
    assert lines[1]["token_accuracy"] == pytest.approx(4 / 5)

    with (tmp_path / "metrics_final.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["id", *pair_metrics()]
    for row, line in zip(rows, lines, strict=True):
        assert row["id"] == line["id"]
        assert all(float(row[name]) == line[name] for name in pair_metrics())


def scored_teacher(folder: Path, lines: list[dict[str, Any]], params: ScoreParams = FEW) -> Path:
    """Score the teacher's predictions and return its folder."""
    score(params, written(folder / "teacher/predictions.jsonl", lines), None, folder / "teacher")
    (folder / "teacher/measured.json").write_text('{"parameters": 40}')
    return folder / "teacher"


def test_a_student_is_scored_against_its_teacher(tmp_path: Path) -> None:
    teacher = scored_teacher(tmp_path, TEACHER)
    student = written(tmp_path / "out/predictions.jsonl", LINES)
    divergence = {"kl_divergence": 0.5, "kl_divergence_is": "lower bound", "eval_temperature": 2.0}
    (tmp_path / "out/measured.json").write_text(json.dumps({"parameters": 10} | divergence))
    summary = score(FEW.model_copy(update={"bootstrap_resamples": 200}), student, teacher, tmp_path / "out")
    result = json.loads((tmp_path / "out/evaluation_metrics.json").read_text())
    assert list(result) == ["teacher", "student", "gaps", "retention", "cost"]
    assert result["cost"] == {"teacher": {"parameters": 40}, "student": {"parameters": 10}}
    assert divergence.items() <= summary.items()
    assert result["teacher"]["metrics"]["exact_match"]["mean"] == pytest.approx(3 / 4)
    assert result["student"] == summary == json.loads((tmp_path / "out/metrics_summary_final.json").read_text())
    assert list(result["gaps"]) == list(pair_metrics())
    assert result["gaps"]["exact_match"]["mean"] == pytest.approx(3 / 4 - 1 / 4)
    for name, gap in result["gaps"].items():
        teacher_mean, student_mean = (result[who]["metrics"][name]["mean"] for who in ("teacher", "student"))
        assert gap["mean"] == pytest.approx(teacher_mean - student_mean)
        assert gap["low"] <= gap["mean"] + 1e-12
        assert gap["high"] >= gap["mean"] - 1e-12
    # Predictions of both: equal, equal, "" against 4 tokens, 6 tokens against 4 of them.
    assert list(result["retention"]) == ["output_agreement", "exact_agreement"], "the others need a code quality score"
    assert result["retention"]["output_agreement"]["mean"] == pytest.approx((1 + 1 + 0 + 8 / 10) / 4)
    assert result["retention"]["exact_agreement"]["mean"] == pytest.approx(2 / 4)
    lines = [json.loads(line) for line in (tmp_path / "out/predictions_final.jsonl").read_text().splitlines()]
    assert [line["teacher_prediction"] for line in lines] == ["assertTrue(x);", "assertTrue(y);", "fail();", "fail();"]
    assert [line["output_agreement"] for line in lines] == pytest.approx([1, 1, 0, 8 / 10])
    assert [line["exact_agreement"] for line in lines] == [1, 1, 0, 0]


def test_an_encoder_adds_similarity_quality_and_retention(tmp_path: Path) -> None:
    teacher = scored_teacher(tmp_path, TEACHER, EMBEDDED)
    student = written(tmp_path / "s.jsonl", LINES)
    summary = score(EMBEDDED, student, teacher, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out/predictions_final.jsonl").read_text().splitlines()]
    values = [line["semantic_similarity"] for line in lines]
    assert (values[0], values[2]) == (1.0, 0.0)
    assert 0 < values[1] < 1
    assert list(summary["metrics"]) == list(METRICS)
    assert summary["metrics"]["semantic_similarity"]["mean"] == pytest.approx(sum(values) / 4)
    weights = {"codebleu": 30, "ast_validity": 20, "pans": 20, "f1": 15, "semantic_similarity": 10, "token_accuracy": 5}
    for line in lines:
        assert 100 * line["code_quality_score"] == pytest.approx(sum(line[name] * w for name, w in weights.items()))
    assert (lines[0]["code_quality_score"], lines[2]["code_quality_score"]) == (1.0, 0.0)
    assert 0 < summary[SHUFFLED] < summary["metrics"]["code_quality_score"]["mean"]
    comparison = json.loads((tmp_path / "out/evaluation_metrics.json").read_text())
    assert comparison["gaps"]["semantic_similarity"]["mean"] > 0
    quality = {who: comparison[who]["metrics"]["code_quality_score"]["mean"] for who in ("student", "teacher")}
    retention = {name: figure["mean"] for name, figure in comparison["retention"].items()}
    assert retention["performance_ratio"] == pytest.approx(quality["student"] / quality["teacher"])
    assert retention["knowledge_retention_score"] == pytest.approx(
        0.6 * retention["output_agreement"] + 0.4 * retention["performance_ratio"]
    )
    assert "semantic_similarity,code_quality_score" in (tmp_path / "out/metrics_final.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(("params", "lines"), [(FEW, LINES), (EMBEDDED, LINES[:1])])
def test_without_an_encoder_or_another_test_nothing_is_shuffled(
    tmp_path: Path, params: ScoreParams, lines: list[dict[str, Any]]
) -> None:
    assert SHUFFLED not in score(params, written(tmp_path / "p.jsonl", lines), None, tmp_path / "out")


@pytest.mark.parametrize("params", [FEW, EMBEDDED])
def test_several_processes_find_the_same(tmp_path: Path, params: ScoreParams) -> None:
    lines = [line | {"id": f"{line['id']}{number}"} for number in range(60) for line in LINES]
    lines = [line | {"prediction": f"{line['prediction']} x{n % 7}"} for n, line in enumerate(lines)]
    path = written(tmp_path / "p.jsonl", lines)
    for processes in (1, 3):
        score(params, path, None, tmp_path / str(processes), processes=processes)
    for name in ("predictions_final.jsonl", "metrics_final.csv", "metrics_summary_final.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()
    assert len((tmp_path / "3/predictions_final.jsonl").read_text().splitlines()) == 240


def test_a_teacher_scored_with_other_metrics_is_refused(tmp_path: Path) -> None:
    teacher = scored_teacher(tmp_path, TEACHER)
    path = teacher / "predictions_final.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "pans"}) + "\n" for line in lines))
    with pytest.raises(UserError, match="has other metrics than"):
        score(FEW, written(tmp_path / "s.jsonl", LINES), teacher, tmp_path / "out")


@pytest.mark.parametrize(
    ("teacher", "problem"),
    [
        (TEACHER[:-1], "lacks 1 example (first 'a')"),
        ([*TEACHER, TEACHER[0] | {"id": "e"}], "holds 1 example (first 'e')"),
        ([TEACHER[0] | {"reference": "other();"}, *TEACHER[1:]], "has another reference for 1 example (first 'd')"),
    ],
)
def test_teacher_and_student_hold_the_same_examples(
    tmp_path: Path, teacher: list[dict[str, Any]], problem: str
) -> None:
    student_file, teacher_folder = written(tmp_path / "s.jsonl", LINES), scored_teacher(tmp_path, teacher)
    with pytest.raises(UserError) as fault:
        score(FEW, student_file, teacher_folder, tmp_path / "out")
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
        ('{"id": "a", "prediction": "x", "reference": "y"}\n' * 2, ":2: id 'a' comes a second time"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as fault:
        score(FEW, path, None, tmp_path / "out")
    assert str(path) in fault.value.problem
    assert problem in fault.value.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.jsonl: no such file"):
        score(FEW, tmp_path / "absent.jsonl", None, tmp_path / "out")
    student = written(tmp_path / "s.jsonl", LINES)
    with pytest.raises(UserError, match=r"predictions_final.jsonl: no such file"):
        score(FEW, student, tmp_path / "absent", tmp_path / "out")
    written(tmp_path / "absent/predictions_final.jsonl", [{"id": "a", "prediction": "x"}])
    with pytest.raises(UserError, match=r"predictions_final.jsonl:1: not a scored prediction"):
        score(FEW, student, tmp_path / "absent", tmp_path / "out")


def test_no_id_starts_a_formula_in_the_table_and_all_come_back(tmp_path: Path) -> None:
    ids = ["=cmd|' /C calc'!A0", "@x", "-1+2", "'=y", "plain"]
    lines = [{"id": name, "prediction": "assertTrue(a);", "reference": "assertTrue(a);"} for name in ids]
    score(FEW, written(tmp_path / "p.jsonl", lines), None, tmp_path / "out")
    table = tmp_path / "out/metrics_final.csv"
    with table.open(encoding="utf-8", newline="") as handle:
        assert not [row["id"] for row in csv.DictReader(handle) if row["id"].startswith(("=", "+", "-", "@"))]
    assert read_metrics(table)[1] == ids
