"""Rows, order and verdict of the leaderboard, from results written by hand."""

import csv
from pathlib import Path
from statistics import stdev

import pytest
from run_on_disk import RunOnDisk

from assertkd.errors import UserError
from assertkd.metrics.registry import METRICS
from assertkd.report.leaderboard import DEVIATION, MEAN, leaderboard, teacher_warning, variant_rows, write_leaderboard
from assertkd.report.results import Model


@pytest.fixture
def models(run: RunOnDisk) -> list[Model]:
    return [
        run.add("students/weak/seed1", "+-------"),
        run.add("students/hard_labels/seed1", "++++----"),
        run.add("students/hard_labels/seed2", "+++++---"),
        run.add("students/hard_labels/seed3", "+++-----"),
        run.add("students/strong/seed1", "+++++---"),
        run.add("teacher", "+++-----"),
    ]


def test_order(models: list[Model]) -> None:
    rows = leaderboard(models)
    assert [(row.variant, row.seed) for row in rows] == [
        ("", ""),
        ("strong", "1"),
        ("hard_labels", MEAN),
        ("hard_labels", DEVIATION),
        ("hard_labels", "2"),
        ("hard_labels", "1"),
        ("hard_labels", "3"),
        ("weak", "1"),
    ]
    assert [(row.name, row.seed) for row in variant_rows(rows)] == [
        ("teacher", ""),
        ("strong", "1"),
        ("hard_labels", MEAN),
        ("weak", "1"),
    ]


def test_figures(models: list[Model]) -> None:
    rows = {(row.variant, row.seed): row for row in leaderboard(models)}
    teacher, one = rows["", ""], rows["hard_labels", "1"]
    assert (teacher.n, teacher.figures["parameters"], teacher.figures.get("output_agreement")) == (8, 5_000_000, None)
    assert (one.figures["parameters"], one.figures["output_agreement"]) == (1_100_000, 0.7)
    assert (one.figures["exact_match"], one.figures["f1"]) == (0.5, 0.75)
    for row in (teacher, one):
        seen = [row.figures[name] for name in ("optimizer_steps", "examples_seen", "target_tokens")]
        assert seen == [120, 1200, 36_000]
    assert (teacher.figures.get("kl_divergence"), one.figures["kl_divergence"]) == (None, 0.25)
    assert (teacher.kl_divergence_is, one.kl_divergence_is) == ("", "lower bound")
    assert one.intervals["exact_match"] == (pytest.approx(0.4), pytest.approx(0.6))
    assert one.intervals["output_agreement"] == (pytest.approx(0.6), pytest.approx(0.8))


def test_several_seeds_have_mean_and_spread(models: list[Model]) -> None:
    rows = {(row.variant, row.seed): row for row in leaderboard(models)}
    mean, spread = rows["hard_labels", MEAN], rows["hard_labels", DEVIATION]
    assert mean.figures["exact_match"] == pytest.approx(0.5)
    assert spread.figures["exact_match"] == pytest.approx(stdev([4 / 8, 5 / 8, 3 / 8])) == pytest.approx(0.125)
    assert (mean.figures["output_agreement"], spread.figures["output_agreement"]) == (pytest.approx(0.7), 0)
    assert not mean.intervals
    assert ("strong", MEAN) not in rows


def test_other_systems_come_last_and_have_metrics_alone(models: list[Model], run: RunOnDisk, tmp_path: Path) -> None:
    systems = [run.add("external/poor", "--------"), run.add("external/rich", "++++++++")]
    rows = leaderboard([systems[0], *models, systems[1]])
    assert rows[:-2] == leaderboard(models)
    assert [(row.model, row.variant, row.seed) for row in rows[-2:]] == [
        ("external", "rich", ""),
        ("external", "poor", ""),
    ]
    assert rows[-2].figures == run.metrics(1.0)
    assert [row.name for row in variant_rows(rows)][-2:] == ["rich", "poor"]
    write_leaderboard(tmp_path / "leaderboard.csv", rows)
    with (tmp_path / "leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        last = list(csv.DictReader(handle))[-2]
    assert (last["model"], last["variant"], last["exact_match"], last["parameters"]) == ("external", "rich", "1.0", "")


def test_a_given_teacher_has_no_training(run: RunOnDisk) -> None:
    run.add("teacher", "++++----")
    run.write("evaluation/teacher/evaluation_metrics.json", {"cost": {"teacher": {"examples": 8}}})
    (run.folder / "teacher" / "training_report.json").unlink()
    [row] = leaderboard([Model("teacher", run.folder, is_trained=False)])
    assert "parameters" not in row.figures


def test_parameters_come_from_the_training_where_they_were_not_measured(run: RunOnDisk) -> None:
    model = run.add("students/x/seed1", "++++----")
    run.write("evaluation/students/x/seed1/evaluation_metrics.json", {})
    assert leaderboard([model])[0].figures["parameters"] == 1_000_000


def test_a_missing_summary_is_named(run: RunOnDisk) -> None:
    with pytest.raises(UserError, match=r"metrics_summary_final\.json: no such file"):
        leaderboard([Model("students/x/seed1", run.folder)])


class TestVerdict:
    def test_a_beaten_teacher_is_named_with_the_figures(self, models: list[Model]) -> None:
        verdict = teacher_warning(leaderboard(models))
        assert verdict is not None
        for part in ("is not above", "hard_labels", "37.5%", "50.0%", "mean of 3 seeds", "-12.5 percentage points"):
            assert part in verdict

    def test_it_is_the_teachers_note(self, models: list[Model]) -> None:
        rows = leaderboard(models)
        assert rows[0].note == teacher_warning(rows)
        assert not any(row.note for row in rows[1:])

    def test_equal_is_not_better(self, run: RunOnDisk) -> None:
        rows = leaderboard([run.add("teacher", "++++----"), run.add("students/hard_labels/seed1", "++++----")])
        assert "a difference of 0.0" in str(teacher_warning(rows))

    def test_a_better_teacher_needs_none(self, run: RunOnDisk) -> None:
        rows = leaderboard([run.add("teacher", "+++++---"), run.add("students/hard_labels/seed1", "++++----")])
        assert teacher_warning(rows) is None
        assert rows[0].note == ""

    def test_other_variants_do_not_count(self, run: RunOnDisk) -> None:
        models = [run.add("teacher", "+++-----"), run.add("students/strong/seed1", "++++----")]
        assert teacher_warning(leaderboard(models)) is None
        assert "strong" in str(teacher_warning(leaderboard(models), "strong"))

    def test_without_a_teacher_there_is_none(self, run: RunOnDisk) -> None:
        assert teacher_warning(leaderboard([run.add("students/hard_labels/seed1", "++++----")])) is None


def test_the_csv_holds_every_row(models: list[Model], tmp_path: Path) -> None:
    rows = leaderboard(models)
    write_leaderboard(tmp_path / "leaderboard.csv", rows)
    with (tmp_path / "leaderboard.csv").open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert list(lines[0]) == [
        *("model", "variant", "seed", "n", *METRICS),
        *("output_agreement", "kl_divergence", "parameters", "model_memory_mb"),
        *("optimizer_steps", "examples_seen", "target_tokens"),
        *("exact_match_low", "exact_match_high", "kl_divergence_is", "note"),
    ]
    assert len(lines) == len(rows)
    assert lines[0]["model"] == "teacher"
    assert lines[0]["note"].startswith("This trained teacher's exact match is not above")
    assert lines[0]["output_agreement"] == ""
    assert [float(line["exact_match"]) for line in lines] == [row.figures["exact_match"] for row in rows]
