"""Runs from files of logits: no teacher is trained, and everything else is as in any run."""

import csv
from pathlib import Path
from typing import Any

import pytest
from driver import Project

from assertkd.layout import SPLITS, TEACHER, InterchangeLayout, RunLayout
from assertkd.logits.interchange.export import export_logits
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.predictions import read_predictions
from assertkd.report.columns import BUDGET_COLUMNS, COST_COLUMNS, EXECUTION_COLUMNS
from served_model import ServedModel, serving

pytestmark = pytest.mark.workflow


def given(files: dict[str, str], **tokenizer: str) -> dict[str, Any]:
    """Return the config of a run `given`, as small as the tiny one and with one student, on these files."""
    limits = {"max_input_len": 192, "max_output_len": 48, "labelled_share": 0.5}
    sizes = {"d_model": 16, "d_ff": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
    settings = {
        "variants": ["traditional"],
        "data": {**limits, "distillation_jsonl": files},
        "tokenizer": tokenizer,
        "logits": {"codec": "dense"},
        "distillation": {
            "model": {"name": "scratch", "scratch": sizes},
            "training": {"batch_size": 16, "epochs": 1, "lr": 2.0e-3},
        },
        "evaluation": {"bootstrap_resamples": 200},
    }
    return {"run": "given", "runs": {"given": settings}}


JOBS = {
    "prepare_corpus",
    "import_logits",
    "distill_student variant=traditional seed=42",
    "predict model=students/traditional/seed42",
    "predict_external_teacher",
    "execute_gold",
    "execute model=teacher",
    "execute model=students/traditional/seed42",
    "score model=teacher",
    "score model=students/traditional/seed42",
    "build_report",
    "all",
}


def blank(folder: Path, *names: str) -> dict[str, str]:
    """Return files that exist, which is all that a plan asks of them."""
    files = {name: str(folder / f"{name}.jsonl") for name in names}
    for file in files.values():
        Path(file).write_text("{}\n", encoding="utf-8")
    return files


@pytest.mark.parametrize("profile", ["local", "delftblue"])
def test_no_teacher_is_planned(project: Project, profile: str) -> None:
    files = blank(project.folder, "train", "validation")
    chosen = ["--config", "run=given"] if profile == "delftblue" else []
    assert project.planned(*chosen, profile=profile, **given(files, name="some/tokenizer")) == JOBS


SERVED = {
    "variants": ["traditional"],
    "tokenizer": {"name": "some/tokenizer"},
    "logits": {"codec": "topk", "server": {"url": "http://127.0.0.1:9/v1"}},
}


def test_a_server_is_asked_in_place_of_a_teacher(project: Project) -> None:
    config = {"run": "given", "runs": {"given": SERVED}}
    assert project.planned(**config) == JOBS | {"capture_logits"}


def test_what_is_missing_is_said_before_any_job(project: Project) -> None:
    config = given(blank(project.folder, "train"))
    config["runs"]["given"]["logits"] = {"codec": "hidden"}
    done = project.snakemake("--profile", "profiles/local", **config)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "tokenizer.name: is needed with data.distillation_jsonl" in said
    assert "logits.codec: `hidden` stores what enters the teacher's head" in said
    assert "Traceback" not in said
    assert not (project.folder / "results").exists()


def test_the_linters_find_nothing(project: Project) -> None:
    done = project.snakemake("--lint", **given(blank(project.folder, "train"), name="some/tokenizer"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_from_exported_logits_ends_with_a_report_and_without_a_teacher(edited: Project) -> None:
    run = edited.folder / "results/tiny"
    export_logits(run, edited.folder / "files")
    files = {split: str(InterchangeLayout(edited.folder / "files").split(split)) for split in SPLITS}
    config = given(files, name=str(run / "corpus/tokenizer"))
    # Equal predictions are run in the same way.
    config["runs"]["given"]["evaluation"]["execute"] = {"enabled": False}
    done = edited.snakemake("--profile", "profiles/local", **config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (edited.folder / "results/given/teacher").exists()
    layouts = (RunLayout(edited.folder / "results" / name).evaluation(TEACHER) for name in ("given", "tiny"))
    of_file, of_model = (list(read_predictions(layout.predictions)) for layout in layouts)
    assert of_file == of_model
    with (edited.folder / "results/given/report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        taught, student = csv.DictReader(handle)
    with (run / "report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        original = next(csv.DictReader(handle))
    unknown = (*COST_COLUMNS, *BUDGET_COLUMNS)
    same = [name for name in original if name not in (*unknown, *EXECUTION_COLUMNS, "note")]
    assert {name: taught[name] for name in same} == {name: original[name] for name in same}
    assert {taught[name] for name in unknown} == {""}
    assert (student["variant"], bool(student["kl_divergence"])) == ("traditional", True)
    assert edited.planned(**config) == set()


@pytest.mark.long
def test_a_run_of_a_served_teacher_has_the_leaderboard_of_that_teacher(edited: Project) -> None:
    run = edited.folder / "results/tiny"
    tokenizer = load_tokenizer(run / "corpus/tokenizer")
    served = ServedModel(load_model(run / "teacher/final_model", tokenizer=tokenizer), tokenizer)
    config = given({}, name=str(run / "corpus/tokenizer"))
    settings = config["runs"]["given"]
    settings["data"] = {**settings["data"], "source": "embedded", "embedded": {"records": 120}}
    del settings["data"]["distillation_jsonl"]
    # The question takes the place of an end token, and leaves records as much room.
    settings["data"]["max_input_len"] += len(served.question) - 1
    with serving(served) as url:
        server = {"url": url, "top_k": 400, "stop": []}
        settings["logits"] = {"codec": "topk", "server": server}
        done = edited.snakemake("--profile", "profiles/local", **config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(served.asked.values()) == {1}
    with (edited.folder / "results/given/report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        taught, student = csv.DictReader(handle)
    with (run / "report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        original = next(csv.DictReader(handle))
    same = [name for name in original if name not in (*COST_COLUMNS, *BUDGET_COLUMNS, "note")]
    assert {name: taught[name] for name in same} == {name: original[name] for name in same}
    assert (student["variant"], bool(student["kl_divergence"])) == ("traditional", True)
    assert edited.planned(**config) == set()
