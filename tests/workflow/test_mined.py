"""Runs whose records are mined from Java projects."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from driver import Project

from assertkd.records import MARKER
from assertkd.synthetic import generate

pytestmark = pytest.mark.workflow


def java_projects(folder: Path, records: int) -> Path:
    """Write generated records as Java projects: their classes, and their tests with the assertion in place."""
    for record in generate(records, 3, None):
        of = record.extra
        test = of["test_source"].replace(MARKER, record.assertion)
        project = folder / str(record.project)
        package = of["class_source"].partition(";")[0].removeprefix("package ").replace(".", "/")
        for side, name, source in (("main", "class_name", of["class_source"]), ("test", "test_class_name", test)):
            path = project / "src" / side / "java" / package / f"{of[name]}.java"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        (project / "pom.xml").touch()
    return folder


def mined(*folders: Path, **mining: Any) -> dict[str, Any]:
    data = {"source": "java", "java_sources": [str(folder) for folder in folders], "mining": mining}
    return {"runs": {"tiny": {"data": data}}}


@pytest.mark.parametrize("profile", ["local", "delftblue"])
def test_mining_comes_first_and_a_generated_corpus_needs_none(project: Project, profile: str) -> None:
    chosen = ["--config", "run=tiny"] if profile == "delftblue" else []
    folder = java_projects(project.folder / "java", 1)
    without = project.planned(*chosen, profile=profile)
    assert project.planned(*chosen, profile=profile, **mined(folder)) == without | {"mine_corpus"}


def test_what_is_missing_is_said_before_any_job(project: Project) -> None:
    none = project.snakemake("--profile", "profiles/local", **mined())
    assert "data.java_sources: needs at least one folder" in none.stdout + none.stderr
    absent = project.snakemake("--profile", "profiles/local", **mined(project.folder / "absent"))
    assert "absent" in absent.stdout + absent.stderr
    assert none.returncode != 0
    assert absent.returncode != 0
    assert not (project.folder / "results").exists()


def test_a_corpus_is_made_of_java_projects(project: Project) -> None:
    config = mined(java_projects(project.folder / "java", 120))
    done = project.snakemake("--profile", "profiles/local", "results/tiny/corpus/quality.json", **config)
    assert done.returncode == 0, done.stdout + done.stderr
    corpus = project.folder / "results/tiny/corpus"
    counts = json.loads((corpus / "mined.json").read_text(encoding="utf-8"))["total"]
    quality = json.loads((corpus / "quality.json").read_text(encoding="utf-8"))
    assert counts["tests"] == 120
    assert quality["read"] == {"results/tiny/corpus/mined.jsonl": counts["records"]}
    assert min(quality["kept"].values()) > 0
    again = mined(project.folder / "java", max_assertions=1)
    target = "results/tiny/corpus/quality.json"
    assert project.planned(target, **again) == {"mine_corpus", "prepare_corpus"}
    # A folder's date says nothing of the files in it.
    (project.folder / "java/another").mkdir()
    assert project.planned(target, **config) == set()


def test_folders_that_cannot_be_used_are_said_before_any_job(project: Project) -> None:
    (project.folder / "empty").mkdir()
    (project.folder / "file").touch()
    for config in (mined(project.folder / "empty"), pretrained(project.folder / "file")):
        done = project.snakemake("--profile", "profiles/local", **config)
        assert done.returncode != 0
        assert re.search(r"java_sources: .*(empty: no Java file|file: is a file, no folder)", done.stderr)
        assert not (project.folder / "results/tiny/corpus").exists()


def pretrained(folder: Path) -> dict[str, Any]:
    return {"runs": {"tiny": {"teacher": {"pretrain": {"java_sources": [str(folder)], "training": {"max_steps": 3}}}}}}


def test_a_teacher_is_pretrained_only_where_sources_are_named(project: Project) -> None:
    folder = java_projects(project.folder / "java", 1)
    without = project.planned()
    assert project.planned(**pretrained(folder)) == without | {"prepare_pretraining", "pretrain"}
    absent = project.snakemake("--profile", "profiles/local", **pretrained(project.folder / "absent"))
    assert absent.returncode != 0
    assert "absent" in absent.stdout + absent.stderr
    assert not (project.folder / "results").exists()


def test_the_teacher_is_trained_from_the_pretrained_model(project: Project) -> None:
    config = pretrained(java_projects(project.folder / "java", 40))
    target = "results/tiny/teacher/training_report.json"
    done = project.snakemake("--profile", "profiles/local", target, **config)
    assert done.returncode == 0, done.stdout + done.stderr
    recipe = json.loads((project.folder / target).read_text(encoding="utf-8"))["recipe"]
    assert recipe["inputs"]["pretrained"] == "results/tiny/pretrain/final_model"
    (project.folder / "java/another").mkdir()
    assert project.planned(target, **config) == set()
    # Another pre-training leads to another teacher; the corpus stays.
    config["runs"]["tiny"]["teacher"]["pretrain"]["seed"] = 1
    assert project.planned(target, **config) == {"prepare_pretraining", "pretrain", "train_teacher"}
