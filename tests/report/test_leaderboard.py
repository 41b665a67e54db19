"""Rows, order and verdict of the leaderboard, from summaries written by hand."""

import csv
import json
from pathlib import Path
from statistics import stdev

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.metrics import METRIC_NAMES
from assertkd.report.leaderboard import MEAN, SPREAD, TEACHER, Entry, leaderboard, teacher_verdict, write_leaderboard


def entry(folder: Path, variant: str, seed: int | None, exact_match: float, agreement: float | None = None) -> Entry:
    """Write a summary in which every metric but exact match is 0.5, and return where it lies."""
    home = folder / f"{variant or TEACHER}{seed or ''}"
    home.mkdir(parents=True)
    figures = {name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in METRIC_NAMES}
    figures["exact_match"] = {"mean": exact_match, "low": exact_match - 0.1, "high": exact_match + 0.1}
    divergence = {} if agreement is None else {"kl_divergence": 0.25, "kl_divergence_is": "lower bound"}
    (home / "metrics_summary_final.json").write_text(json.dumps({"n": 40, "metrics": figures} | divergence))
    (home / "training_report.json").write_text(json.dumps({"parameters": 1000 if variant else 5000, "seed": seed}))
    comparison = {} if agreement is None else {"retention": {"output_agreement": {"mean": agreement}}}
    (home / "evaluation_metrics.json").write_text(json.dumps(comparison))
    return Entry(
        "student" if variant else TEACHER,
        variant,
        seed,
        home / "metrics_summary_final.json",
        home / "training_report.json",
    )


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    return [
        entry(tmp_path, "weak", 1, 0.2, 0.5),
        entry(tmp_path, "hard_labels", 1, 0.50, 0.7),
        entry(tmp_path, "hard_labels", 2, 0.60, 0.8),
        entry(tmp_path, "hard_labels", 3, 0.40, 0.6),
        entry(tmp_path, "strong", 1, 0.55, 0.9),
        entry(tmp_path, "", None, 0.45),
    ]


def test_order(entries: list[Entry]) -> None:
    rows = leaderboard(entries)
    assert [(row.variant, row.seed) for row in rows] == [
        ("", ""),
        ("strong", "1"),
        ("hard_labels", MEAN),
        ("hard_labels", SPREAD),
        ("hard_labels", "2"),
        ("hard_labels", "1"),
        ("hard_labels", "3"),
        ("weak", "1"),
    ]


def test_figures(entries: list[Entry]) -> None:
    rows = {(row.variant, row.seed): row for row in leaderboard(entries)}
    teacher, one = rows["", ""], rows["hard_labels", "1"]
    assert (teacher.parameters, teacher.n, teacher.output_agreement) == (5000, 40, None)
    assert (one.parameters, one.output_agreement, one.metrics["f1"]) == (1000, 0.7, 0.5)
    assert (teacher.kl_divergence, one.kl_divergence) == (None, 0.25)
    assert (teacher.kl_divergence_is, one.kl_divergence_is) == ("", "lower bound")
    assert (one.exact_match_low, one.exact_match_high) == (pytest.approx(0.4), pytest.approx(0.6))


def test_several_seeds_have_mean_and_spread(entries: list[Entry]) -> None:
    rows = {(row.variant, row.seed): row for row in leaderboard(entries)}
    mean, spread = rows["hard_labels", MEAN], rows["hard_labels", SPREAD]
    assert mean.metrics["exact_match"] == pytest.approx(0.5)
    assert spread.metrics["exact_match"] == pytest.approx(stdev([0.5, 0.6, 0.4])) == pytest.approx(0.1)
    assert (mean.output_agreement, spread.output_agreement) == (pytest.approx(0.7), pytest.approx(0.1))
    assert mean.exact_match_low is None
    assert ("strong", MEAN) not in rows


def test_a_report_may_be_missing(entries: list[Entry]) -> None:
    alone = Entry(TEACHER, "", None, entries[-1].summary)
    [row] = leaderboard([alone])
    assert row.parameters is None


def test_a_missing_summary_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        leaderboard([Entry("student", "x", 1, tmp_path / "absent.json")])


class TestVerdict:
    def test_a_beaten_teacher_is_named_with_the_figures(self, entries: list[Entry]) -> None:
        verdict = teacher_verdict(leaderboard(entries))
        assert verdict is not None
        for part in ("does not beat", "hard_labels", "45.0%", "50.0%", "mean of 3 seeds", "-5.0 percentage points"):
            assert part in verdict

    def test_it_is_the_teachers_note(self, entries: list[Entry]) -> None:
        rows = leaderboard(entries)
        assert rows[0].note == teacher_verdict(rows)
        assert not any(row.note for row in rows[1:])

    def test_equal_is_not_better(self, tmp_path: Path) -> None:
        rows = leaderboard([entry(tmp_path, "", None, 0.5), entry(tmp_path, "hard_labels", 1, 0.5)])
        assert "a difference of 0.0" in str(teacher_verdict(rows))

    def test_a_better_teacher_needs_none(self, tmp_path: Path) -> None:
        rows = leaderboard([entry(tmp_path, "", None, 0.6), entry(tmp_path, "hard_labels", 1, 0.5)])
        assert teacher_verdict(rows) is None
        assert rows[0].note == ""

    def test_other_variants_do_not_count(self, tmp_path: Path) -> None:
        rows = leaderboard([entry(tmp_path, "", None, 0.3), entry(tmp_path, "strong", 1, 0.5)])
        assert teacher_verdict(rows) is None
        assert "strong" in str(teacher_verdict(rows, hard_labels_variant="strong"))

    def test_without_a_teacher_there_is_none(self, tmp_path: Path) -> None:
        assert teacher_verdict(leaderboard([entry(tmp_path, "hard_labels", 1, 0.5)])) is None


def test_the_csv_holds_every_row(entries: list[Entry], tmp_path: Path) -> None:
    rows = leaderboard(entries)
    write_leaderboard(tmp_path / "leaderboard.csv", rows)
    with (tmp_path / "leaderboard.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert list(lines[0]) == [
        *("model", "variant", "seed", "parameters", "n"),
        *METRIC_NAMES,
        *("exact_match_low", "exact_match_high", "output_agreement", "kl_divergence", "kl_divergence_is", "note"),
    ]
    assert len(lines) == len(rows)
    assert lines[0]["model"] == "teacher"
    assert lines[0]["note"].startswith("The teacher does not beat")
    assert lines[0]["output_agreement"] == ""
    assert [float(line["exact_match"]) for line in lines] == [row.metrics["exact_match"] for row in rows]
