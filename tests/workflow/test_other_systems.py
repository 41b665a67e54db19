"""`assertkd evaluate` beside a finished run, and the predictions of other systems in one."""

import csv
import json
from pathlib import Path

import pytest
from driver import Project
from test_stage_commands import assertkd

from assertkd.evaluation.shuffled import SHUFFLED
from assertkd.jsonl import write_lines
from assertkd.layout import TEACHER, EvaluationLayout, RunLayout
from assertkd.predictions import read_predictions
from assertkd.records import read_records

pytestmark = pytest.mark.workflow

STUDENT = "students/traditional/seed42"


def modified(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_model_has_the_figures_that_it_has_in_the_run(finished: Project, tmp_path: Path) -> None:
    run = RunLayout(finished.folder / "results/tiny")
    before = modified(finished.folder)
    models = ["--model", str(run.model(STUDENT).final_model), "--teacher", str(run.teacher.final_model)]
    options = ["--evaluation.bootstrap_resamples", "200", "--output", str(tmp_path / "out")]
    done = assertkd(finished, "evaluate", *models, "--records", str(run.corpus.test), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert modified(finished.folder) == before
    for folder, model in ((tmp_path / "out", STUDENT), (tmp_path / "out/teacher", TEACHER)):
        layout, of_run = EvaluationLayout(folder), run.evaluation(model)
        for name in ("examples", "table", "summary"):
            assert getattr(layout, name).read_bytes() == getattr(of_run, name).read_bytes(), (model, name)
        compared, expected = (json.loads(one.comparison.read_text()) for one in (layout, of_run))
        assert compared.pop("cost").keys() == expected.pop("cost").keys()
        assert compared == expected


def jobs(system: str) -> set[str]:
    model = f"model=external/{system}"
    return {f"import_predictions system={system}", f"execute {model}", f"score {model}", "build_report", "all"}


def rows(project: Project) -> dict[str, dict[str, str]]:
    with (project.folder / "results/tiny/report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        return {row["variant"]: row for row in csv.DictReader(handle)}


def test_another_system_is_a_row_and_is_scored_again_when_its_file_changes(edited: Project) -> None:
    run = RunLayout(edited.folder / "results/tiny")
    predictions = list(read_predictions(run.evaluation(STUDENT).predictions))
    file = edited.folder / "copied.jsonl"
    write_lines(file, ({"id": one.id, "prediction": one.prediction} for one in reversed(predictions)))
    config = {"evaluation": {"external": {"copied": "copied.jsonl"}, "nearest_record": True}}
    search = {f"{rule} model=external/nearest_record" for rule in ("execute", "score")} | {"find_nearest_record"}
    assert edited.planned(**config) == jobs("copied") | search
    done = edited.snakemake("--profile", "profiles/local", **config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Exception" not in done.stdout + done.stderr
    own, copied = rows(edited)["traditional"], rows(edited)["copied"]
    assert copied["model"] == "external"
    summary = json.loads(run.evaluation(STUDENT).summary.read_text())
    shared = ["n", SHUFFLED, *summary["metrics"]]
    assert {name: copied[name] for name in shared} == {name: own[name] for name in shared}
    assert {name for name, value in copied.items() if value} - {*shared, "model", "variant"} == {
        "exact_match_low",
        "exact_match_high",
    }
    known = {record.assertion for record in read_records(run.corpus.train)}
    found = list(read_predictions(run.evaluation("external/nearest_record").predictions))
    assert {one.prediction for one in found} <= known
    nearest = rows(edited)["nearest_record"]
    assert (nearest["model"], nearest["n"]) == ("external", str(len(predictions)))
    exact = sum(one.prediction.split() == one.reference.split() for one in found)
    assert float(nearest["exact_match"]) == pytest.approx(exact / len(found))
    assert float(nearest["syntax_validity"]) == 1.0
    page = run.report.page.read_text(encoding="utf-8")
    assert "other system" in page
    assert edited.planned(**config) == set()
    file.write_text("\n".join("fail ( )" for _ in predictions), encoding="utf-8")
    assert edited.planned(**config) == jobs("copied")


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("hard_labels", "evaluation.external.hard_labels: `hard_labels` is a variant; choose another name"),
        ("absent", "evaluation.external.absent: absent.txt: no such file"),
        (
            "nearest_record",
            "evaluation.external.nearest_record: `nearest_record` is the row of evaluation.nearest_record",
        ),
    ],
)
def test_a_bad_system_is_said_before_any_job(project: Project, system: str, said: str) -> None:
    done = project.snakemake("--profile", "profiles/local", evaluation={"external": {system: "absent.txt"}})
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert not (project.folder / "results").exists()
