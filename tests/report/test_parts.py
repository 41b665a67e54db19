"""What the page's parts say: verdicts, leaderboard cells, Pareto front, slices, curves."""

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from run_on_disk import COMPARED, RunOnDisk

from assertkd.errors import UserError
from assertkd.evaluation.comparison import Comparison, compare_models
from assertkd.report import build_report as build_report_module
from assertkd.report.columns import Column
from assertkd.report.conclusions import conclusions
from assertkd.report.figures.quality import differences, quality_against_cost
from assertkd.report.figures.training import POINTS, component_curves, component_figures, learning_figure
from assertkd.report.leaderboard import Row, leaderboard, optimizer_steps, variant_rows
from assertkd.report.leaderboard_table import leaderboard_table
from assertkd.report.results import Model, labels_of, read_log
from assertkd.report.slices import Z, length_of, slicings, wilson
from assertkd.settings import ReportSettings

MANY = 60
"""Test examples where differences are tested."""


def right(count: int) -> str:
    return "+" * count + "-" * (MANY - count)


@pytest.fixture
def judged(tmp_path: Path) -> list[Model]:
    """A teacher, a baseline, a variant far better, one far worse, and one that is a little better by chance."""
    run = RunOnDisk(tmp_path / "run", MANY)
    shares = {"hard_labels": 25, "better": 45, "worse": 5, "alike": 26}
    return [
        run.add("teacher", right(50)),
        *(
            run.add(f"students/{variant}/seed{seed}", right(count + seed - 2))
            for variant, count in shares.items()
            for seed in (1, 2, 3)
        ),
    ]


def compared(models: list[Model], baseline: str | None = "hard_labels") -> tuple[list[Row], Comparison]:
    names = [model.name for model in models]
    return leaderboard(models), compare_models(names, models[0].run_folder / "evaluation", baseline, 2000)


class TestVerdicts:
    def test_they_call_better_only_what_is(self, judged: list[Model]) -> None:
        best, better, worse, open_, teacher, cost = conclusions(*compared(judged))
        assert best == "Highest exact match of the students: better, 75.0%; the teacher has 83.3%."
        assert better.startswith("1 variant is significantly better than hard_labels: better by 33.3 points (")
        assert worse.startswith("1 variant is significantly worse: worse by 33.3 points (")
        # Three seeds with a standard deviation of one example each: t(4) at 97.5 % is 2.776.
        assert "by 33.3 points (29.6 to 37.1)" in better
        assert open_ == "Without a significant difference from hard_labels: alike."
        assert teacher.startswith("This trained teacher is significantly better than hard_labels, by 41.7 points (")
        assert cost == "better has 90% of the teacher's exact match with 22% of its weights and 100% of its memory."

    def test_another_system_is_no_student(self, judged: list[Model], tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "other", MANY)
        run.folder = judged[0].run_folder
        models = [*judged, run.add("external/perfect", right(MANY)), run.add("external/none", right(0))]
        own, rows_and_comparison = conclusions(*compared(judged)), compared(models)
        said = conclusions(*rows_and_comparison)
        assert [one for one in said if one not in own] == ["Highest exact match of the other systems: perfect, 100.0%."]
        assert [one for one in said if one in own] == own
        table = leaderboard_table(*rows_and_comparison)
        assert table.has_external
        assert not leaderboard_table(*compared(judged)).has_external
        [perfect] = table.groups[-2]
        assert (perfect.name, perfect.detail, perfect.kind) == ("perfect", "other system", "external")
        assert perfect.cells[1].mark == "better"
        figure = differences(rows_and_comparison[1])
        assert figure is not None
        assert "perfect" in figure.csv()

    def test_what_models_get_without_reading_the_test_is_said(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run", MANY)
        teacher = run.add("teacher", right(50), shuffled=0.5)
        models = [
            teacher,
            run.add("students/one/seed1", right(40), shuffled=0.8),
            run.add("students/two/seed1", right(5)),
        ]
        rows = leaderboard(models)
        assert [row.figures.get("code_quality_score_shuffled") for row in rows] == [0.5, 0.8, None]
        # RunOnDisk gives a prediction that is no match half the points.
        assert conclusions(rows, None)[-1] == (
            "Code quality against the assertions of other tests: one 80.0% instead of 83.3%, teacher 50.0% instead of "
            "91.7%. Only the difference comes from reading the test."
        )

    def test_nothing_significant_is_said_plainly(self, judged: list[Model]) -> None:
        said = conclusions(*compared([model for model in judged if model.variant in ("hard_labels", "alike")]))
        assert said[0] == "Highest exact match of the students: alike, 43.3%."
        assert said[1] == "No variant is significantly better than hard_labels."
        assert not any("better" in sentence for sentence in [said[0], *said[2:]])

    def test_without_a_baseline_nothing_is_called_real(self, judged: list[Model]) -> None:
        rows, comparison = compared(judged, None)
        said = conclusions(rows, comparison)
        assert not any("better" in sentence for sentence in said[1:2])
        assert "no difference is called real" in said[1]
        assert conclusions(rows, None)[1] == said[1]

    def test_a_teacher_that_does_not_differ_is_said(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run", MANY)
        students = [run.add(f"students/hard_labels/seed{count}", right(count)) for count in (24, 25, 26)]
        said = conclusions(*compared([run.add("teacher", right(26)), *students]))
        # t = 1 / (1 / sqrt(3)) on two degrees of freedom.
        assert any("does not differ significantly from hard_labels (+1.7 points, p = 0.23)" in one for one in said)

    @pytest.mark.parametrize("seeds", [1, 2])
    def test_of_one_or_two_seeds_only_trained_models_are_spoken_of(self, tmp_path: Path, seeds: int) -> None:
        run = RunOnDisk(tmp_path / "run", MANY)
        models = [run.add("teacher", right(50))]
        for variant, count in (("hard_labels", 25), ("gain", 45)):
            models += [run.add(f"students/{variant}/seed{seed}", right(count)) for seed in range(seeds)]
        _, variants, teacher, _ = said = conclusions(*compared(models))
        assert variants.startswith("These trained models against hard_labels, on the same test examples: gain +33.3")
        assert variants.endswith("not tested: fewer than 3 seeds of the baseline.")
        assert teacher.startswith("This trained teacher against hard_labels, on the same test examples: +41.7 points (")
        assert teacher.endswith("Not tested: fewer than 3 seeds of the baseline.")
        assert not re.search(r"better|worse|signific|▲|▼", " ".join(said))


class TestBoard:
    def test_differences_are_marked(self, judged: list[Model]) -> None:
        board = leaderboard_table(*compared(judged))
        lines = {group[0].name: group[0] for group in board.groups}
        assert board.is_tested
        assert not board.untested
        figure = differences(compared(judged)[1])
        assert figure is not None
        assert {row["model"]: row["verdict"] for row in figure.rows} == {
            **dict.fromkeys(("teacher", "better", "worse"), "significant"),
            "alike": "could be chance",
        }
        assert [column.heading for column in board.columns[:2]] == ["Exact match", "vs hard_labels"]
        marks = {name: line.cells[1].mark for name, line in lines.items()}
        assert marks == {"teacher": "better", "better": "better", "worse": "worse", "alike": "open", "hard_labels": ""}
        assert lines["better"].cells[1].text == "+33.3"
        assert lines["worse"].cells[1].value == pytest.approx(-1 / 3)
        assert lines["hard_labels"].kind == "baseline"
        # f1 differs on the same examples, and is marked too.
        assert lines["better"].cells[3].mark == "better"

    def test_nothing_is_marked_without_a_test(self, judged: list[Model]) -> None:
        models = [model for model in judged if model.is_teacher or model.seed == 1]
        board = leaderboard_table(*compared(models))
        assert not board.is_tested
        assert board.untested == ["fewer than 3 seeds of the baseline"]
        assert {cell.mark for [line] in board.groups for cell in line.cells} == {""}
        [better] = [line for [line] in board.groups if line.name == "better"]
        assert better.cells[1].text == "+33.3"
        assert better.cells[1].hint == "not tested: fewer than 3 seeds of the baseline"
        assert "▲" not in board.columns[1].meaning
        figure = differences(compared(models)[1])
        assert figure is not None
        assert {row["verdict"] for row in figure.rows} == {"not tested"}
        assert "could be chance" not in json.dumps(figure.spec())

    def test_seeds_follow_their_variant(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run", MANY)
        models = [run.add(f"students/{name}/seed{seed}", right(20 + seed)) for name in "ab" for seed in (1, 2)]
        board = leaderboard_table(leaderboard(models), None)
        assert board.has_seeds
        assert [[(line.name, line.detail) for line in group] for group in board.groups] == [
            [(name, "mean of 2 seeds"), ("", "seed 2"), ("", "seed 1")] for name in "ab"
        ]
        assert "vs" not in board.columns[1].heading


@pytest.mark.parametrize(
    ("value", "text"), [(3_100_000, "3.10"), (60_000, "0.0600"), (223_000_000, "223"), (1_234_000_000, "1,234")]
)
def test_numbers_have_three_digits_or_more(value: float, text: str) -> None:
    assert Column("Parameters", "", "M", 1e-6, 3).number(value) == text


def test_the_front_holds_what_no_other_beats_in_both(tmp_path: Path) -> None:
    run = RunOnDisk(tmp_path / "run")
    sizes = {
        "small": ("++------", 10.0),
        "large": ("++++----", 30.0),
        "wasteful": ("+++-----", 40.0),
        "even": ("++++----", 20.0),
    }
    models = [run.add(f"students/{name}/seed1", signs, model_memory_mb=mb) for name, (signs, mb) in sizes.items()]
    figure = quality_against_cost(variant_rows(leaderboard(models)), list(sizes))
    assert figure is not None
    fronts: dict[str, set[str]] = {}
    for row in figure.rows:
        fronts.setdefault(row["cost"], set()).update([row["model"]] if row["on_front"] else [])
    assert fronts == {"Memory, MB": {"small", "even"}, "Parameters, M": {"large", "even"}}


class TestSlices:
    def test_every_example_is_in_one_part(self, judged: list[Model]) -> None:
        kinds, projects, lengths = slicings(judged, ["teacher", "better"])
        assert [(part.name, part.n) for part in kinds.slices] == [("assertEquals", 40), ("assertTrue", 20)]
        assert [(part.name, part.n) for part in projects.slices] == [("project-0", 30), ("project-1", 30)]
        assert [(part.name, part.n) for part in lengths.slices] == [("11–15", 40), ("16–25", 20)]
        shares = [part.cells[0].mean for part in projects.slices]
        assert sum(shares) / 2 == pytest.approx(50 / MANY)

    def test_seeds_are_averaged(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run", MANY)
        models = [run.add(f"students/a/seed{seed}", right(count)) for seed, count in ((1, 60), (2, 0))]
        kinds = slicings(models, ["a"])[0]
        assert all(cell.mean == 0.5 for part in kinds.slices for cell in part.cells)

    @pytest.mark.parametrize(
        ("tokens", "bucket"), [(1, "1–7"), (7, "1–7"), (8, "8–10"), (25, "16–25"), (26, "26 and more")]
    )
    def test_lengths(self, tokens: int, bucket: str) -> None:
        assert length_of({"target_tokens": tokens}) == bucket

    @pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (41, 97)])
    def test_bounds_solve_the_score_equation(self, hits: int, n: int) -> None:
        cell = wilson(hits, n)
        for bound in (cell.low, cell.high):
            if 1e-9 < bound < 1 - 1e-9:
                assert abs(cell.mean - bound) == pytest.approx(Z * math.sqrt(bound * (1 - bound) / n))
        assert cell.low - 1e-12 <= cell.mean <= cell.high + 1e-12


class TestCurves:
    def test_they_are_means_over_stretches(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run")
        model = run.add("students/two/seed1", "++++----")
        rows = component_curves([model], labels_of([model]))
        jsd = [row for row in rows if row["component"] == "jsd"]
        assert len(jsd) == POINTS
        assert jsd[-1]["step"] == 120
        assert [row["share"] for row in jsd] == pytest.approx([0.75] * POINTS)
        assert [row["weight"] for row in jsd] == pytest.approx([0.5] * POINTS)
        # The first stretch holds steps 0 to 2.
        assert jsd[0]["loss"] == pytest.approx(1 + sum(math.exp(-step / 50) for step in range(3)) / 3, rel=1e-5)

    def test_steps_before_a_component_begins_are_left_out(self, tmp_path: Path) -> None:
        model = RunOnDisk(tmp_path / "run").add("students/two/seed1", "++++----")
        table = pd.read_csv(model.training.steps)
        table.loc[table["step"] < 4, ["jsd_loss_raw", "jsd_weight"]] = 0.0
        table.to_csv(model.training.steps, index=False)
        jsd = [row for row in component_curves([model], labels_of([model])) if row["component"] == "jsd"]
        assert jsd[0]["loss"] is None
        assert jsd[1]["loss"] == pytest.approx(1 + sum(math.exp(-step / 50) for step in (4, 5)) / 2, rel=1e-5)
        losses = next(figure for figure in component_figures([model], labels_of([model])) if figure.name == "losses")
        assert all(row["loss"] > 0 for row in losses.rows)
        assert {row["component"] for row in losses.rows} == {"focal", "jsd"}

    def test_validation_is_drawn_over_optimizer_steps(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run")
        models = [run.train("students/short/seed1", 80), run.train("students/long/seed1", 120)]
        figure = learning_figure(models, labels_of(models), ["short", "long"])
        assert figure is not None
        steps = {(row["variant"], row["epoch"]): row["step"] for row in figure.rows}
        assert steps == {("short", 1): 40, ("short", 2): 80, ("long", 1): 60, ("long", 2): 120}
        assert figure.chart.to_dict()["concat"][0]["encoding"]["x"]["field"] == "step"

    def test_a_training_that_has_not_ended_has_no_shares(self, tmp_path: Path) -> None:
        run = RunOnDisk(tmp_path / "run")
        model = run.train("students/two/seed1", steps=10, ends=False)
        with (model.training.checkpoints / "logs/step_metrics.csv").open("a") as growing:
            growing.write("1,10,1.0,0.")
        rows = component_curves([model], labels_of([model]))
        assert len(rows) == 20
        assert all(row["share"] is None and row["loss"] > 0 for row in rows)


@pytest.fixture
def unequal(tmp_path: Path) -> list[Model]:
    """Three seeds each of a baseline of 120 steps and two far better variants, one of more steps; and a teacher."""
    run = RunOnDisk(tmp_path / "run", MANY)
    counts = {"hard_labels": 25, "longer": 45, "equal": 44}
    models = [
        run.add(f"students/{name}/seed{n}", right(count + n)) for name, count in counts.items() for n in (1, 2, 3)
    ]
    for seed, steps in ((1, 1300), (2, 1300), (3, 1301)):
        run.train(f"students/longer/seed{seed}", steps)
    models.append(run.add("teacher", right(50)))
    run.train("teacher", 900)
    return models


class TestBudgets:
    def test_variants_of_another_budget_are_called_nothing(self, unequal: list[Model]) -> None:
        rows = leaderboard(unequal)
        steps = optimizer_steps(rows)
        assert steps == {"hard_labels": 120, "equal": 120, "longer": pytest.approx(1300 + 1 / 3)}
        names, scores = [model.name for model in unequal], unequal[0].run_folder / "evaluation"
        comparison = compare_models(names, scores, "hard_labels", 200, optimizer_steps=steps)
        longer = comparison.variants["longer"]["exact_match"].difference
        equal = comparison.variants["equal"]["exact_match"].difference
        assert comparison.teacher is not None
        teacher = comparison.teacher["exact_match"].difference
        assert longer is not None
        assert equal is not None
        assert teacher is not None
        assert (longer.test, longer.p, longer.p_holm, longer.significant) == (None, None, None, None)
        assert longer.unequal_steps == (pytest.approx(1300 + 1 / 3), 120)
        assert longer.reason == "unequal budgets (1,300.3 steps against 120)"
        assert longer.mean == pytest.approx(20 / MANY)
        assert (equal.unequal_steps, equal.significant, equal.p_holm) == (None, True, equal.p)
        assert (teacher.unequal_steps, teacher.significant) == (None, True)

        said = conclusions(rows, comparison)
        assert "1 variant is significantly better than hard_labels: equal by 31.7 points (" in said[1]
        sentence = "Trained for other optimizer steps than hard_labels, so called neither better nor worse: longer "
        assert f"{sentence}(1,300.3 steps against 120)." in said
        assert not any("longer" in one and one.startswith("These trained models") for one in said)

        lines = {line.name: line for line, *_ in leaderboard_table(rows, comparison).groups}
        assert {name: line.cells[1].mark for name, line in lines.items()} == {
            "teacher": "better", "equal": "better", "longer": "", "hard_labels": "",
        }  # fmt: skip
        assert {cell.mark for cell in lines["longer"].cells} == {""}
        assert lines["longer"].cells[1].remark.endswith("; 1,300.3 steps against 120")
        figure = differences(comparison)
        assert figure is not None
        verdicts = {row["model"]: row["verdict"] for row in figure.rows}
        assert verdicts == {"longer": "unequal budgets", "equal": "significant", "teacher": "significant"}

    def test_variants_of_one_other_budget_share_a_place(self, unequal: list[Model]) -> None:
        steps = {"hard_labels": 120.0, "equal": 900.0, "longer": 900.0}
        names, scores = [model.name for model in unequal], unequal[0].run_folder / "evaluation"
        comparison = compare_models(names, scores, "hard_labels", 200, optimizer_steps=steps)
        said = conclusions(leaderboard(unequal), comparison)
        assert any(one.endswith(": longer, equal (900 steps against 120).") for one in said)
        assert not any("significantly" in one for one in said if "teacher" not in one)

    def test_the_report_compares_the_steps(self, unequal: list[Model], monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(*_: object, optimizer_steps: dict[str, float]) -> None:
            raise LookupError(sorted(optimizer_steps))

        monkeypatch.setattr(build_report_module, "compare_models", stop)
        with pytest.raises(LookupError, match=re.escape("['equal', 'hard_labels', 'longer']")):
            build_report_module.build_report(ReportSettings(), COMPARED, unequal, unequal[0].run_folder / "report")

    def test_unknown_steps_are_no_difference(self, unequal: list[Model]) -> None:
        names, scores = [model.name for model in unequal], unequal[0].run_folder / "evaluation"
        for steps in ({"longer": 900.0}, {"hard_labels": 120.0}, None):
            comparison = compare_models(names, scores, "hard_labels", 200, optimizer_steps=steps)
            difference = comparison.variants["longer"]["exact_match"].difference
            assert difference is not None
            assert difference.significant


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exact_match": "1"}, "exact_match is not what `score` writes: '1'"),
        ({"exact_match": 7}, "exact_match is not in [0, 1]: 7"),
        ({"target_tokens": None}, "target_tokens is not what `score` writes: None"),
        ({"id": 3}, "id is not what `score` writes: 3"),
    ],
)
def test_a_damaged_prediction_is_named_with_its_line(run: RunOnDisk, change: dict[str, object], said: str) -> None:
    model = run.add("teacher", "++++++--")
    lines = model.evaluation.examples.read_text(encoding="utf-8").splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | change)
    model.evaluation.examples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        list(model.predictions())
    assert caught.value.problem == f"{model.evaluation.examples}:3: {said}"


@pytest.mark.parametrize("content", [b"a,timestamp\n1,x\n2:3,y\n", b"\n\n", b'a\n"1\n2\n', b"a\n\xff\n"])
def test_a_damaged_table_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "step_metrics.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_log(path)
    assert caught.value.problem.startswith(f"{path}: damaged")
    assert len(str(caught.value).splitlines()) == 2


def test_a_table_s_fault_may_have_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise ValueError

    monkeypatch.setattr("pandas.read_csv", refuse)
    (tmp_path / "step_metrics.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"no table can be read from it \(ValueError\)"):
        read_log(tmp_path / "step_metrics.csv")
