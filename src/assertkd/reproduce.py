"""Repeats a training from its report, and tells whether the same weights and the same metrics came out."""

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import TypeAdapter

from assertkd.corpus.targets import Supervision
from assertkd.errors import UserError
from assertkd.files import read_json, sha256_of_file, write_text
from assertkd.settings import TeacherSettings
from assertkd.students.distill_student import Student, distill_student
from assertkd.teacher.train_teacher import train_teacher
from assertkd.training.logs import MEASURED
from assertkd.training.provenance import git_commit, versions

log = logging.getLogger(__name__)

TABLES = ("step_metrics.csv", "training_metrics.csv")


def reproduce(path: Path, folder: Path) -> None:
    """Train again what a `training_report.json` describes, into another folder, and compare.

    Paths in the report are taken from the current folder, as the workflow wrote them.

    Args:
        path: the report; the tables beside it are compared too, where they are there.
        folder: where the new model and its logs go.

    Raises:
        UserError: the report does not say how, an input is missing or another one than it was, or the new model has
            other weights or figures.
    """
    report = read_json(path)
    recipe = _recipe(report, path)
    _check_inputs(report["inputs"], path)
    _warn_of_changes(report)
    torch.set_num_threads(report["machine"]["threads"])
    inputs: dict[str, Any] = {name: value and Path(value) for name, value in recipe["inputs"].items()}
    settings: dict[str, Any] = dict(recipe["settings"])
    if recipe["stage"] == "teacher":
        limits = settings.pop("limits")
        train_teacher(TeacherSettings(**settings), **limits, **inputs, folder=folder, config=recipe["config"])
    else:
        supervision = TypeAdapter(Supervision).validate_python(settings.pop("supervision"))
        student = TypeAdapter(Student).validate_python(settings)
        distill_student(student, supervision, **inputs, folder=folder, config=recipe["config"])
    again = read_json(folder / "training_report.json")
    differing = [] if again["weights"] == report["weights"] else ["the weights"]
    for name in TABLES:
        if path.with_name(name).exists() and _figures(path.with_name(name)) != _figures(folder / name):
            differing.append(name)
    if differing:
        raise UserError(
            f"{folder}: not what {path} describes: {' and '.join(differing)} differ",
            "The same bits need the same versions, kind of device and number of threads; the warnings above say what "
            "is not as it was.",
        )


def write_config(path: Path, target: Path) -> None:
    """Write the configuration of the run that a report comes from as YAML, for `snakemake --configfile`.

    Raises:
        UserError: the report does not hold it.
    """
    config = _recipe(read_json(path), path)["config"]
    if config is None:
        raise UserError(f"{path}: was written outside the workflow, so it holds no config", "Use its `recipe`.")
    write_text(target, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def _recipe(report: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    recipe: Mapping[str, Any] | None = report.get("recipe")
    if recipe is None:
        raise UserError(f"{path}: does not say how the model was asked for", "Name a report of a teacher or student.")
    return recipe


def _check_inputs(inputs: Mapping[str, str], path: Path) -> None:
    faults = []
    for name, checksum in inputs.items():
        if not Path(name).exists():
            faults.append(f"{name} is missing")
        elif sha256_of_file(Path(name)) != checksum:
            faults.append(f"{name} is another one than it was")
    if faults:
        raise UserError(
            f"{path}: {'; '.join(faults)}",
            "Run this in the project's folder. To make the inputs again: `assertkd reproduce REPORT --config FILE`, "
            "then `snakemake --profile profiles/local --configfile FILE`.",
        )


def _warn_of_changes(report: Mapping[str, Any]) -> None:
    present = {**versions(), "code": git_commit()}
    for name, former in {**report["versions"], "code": report["git_commit"]}.items():
        if present.get(name) != former:
            log.warning("%s was %s, is %s", name, former, present.get(name))


def _figures(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return [{k: v for k, v in row.items() if k not in MEASURED} for row in csv.DictReader(handle)]
