"""Repeats a training from its report, and compares the weights and the metrics."""

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from assertkd.errors import UserError
from assertkd.files import read_json, sha256_of_file, write_text
from assertkd.layout import TrainingLayout
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams
from assertkd.teacher.params import PretrainParams, TrainTeacherParams
from assertkd.teacher.train_teacher import pretrain, train_teacher
from assertkd.training.provenance import git_commit, versions
from assertkd.training.tables import MEASURED

log = logging.getLogger(__name__)


def reproduce(path: Path, folder: Path) -> None:
    """Repeat the training of a `training_report.json` in another folder, and compare the two.

    Paths in the report are relative to the current folder, as the workflow wrote them. The tables beside the report are
    compared too, if there are any.

    Raises:
        UserError: the report has no recipe, an input is missing or has changed, or the new model has other weights or
            metrics.
    """
    report = read_json(path)
    recipe = _recipe(report, path)
    _check_inputs(report["inputs"], path)
    present = {**versions(), "code": git_commit()}
    for name, former in {**report["versions"], "code": report["git_commit"]}.items():
        if present.get(name) != former:
            log.warning("%s was %s, is %s", name, former, present.get(name))
    torch.set_num_threads(report["machine"]["threads"])
    inputs, settings = recipe["inputs"], dict(recipe["settings"])
    if recipe["stage"] == "teacher":
        params = TrainTeacherParams.model_validate(settings)
        start = inputs.get("pretrained")
        train_teacher(params, Path(inputs["corpus"]), folder, config=recipe["config"], pretrained=start and Path(start))
    elif recipe["stage"] == "pretrain":
        pretrain(PretrainParams.model_validate(settings), Path(inputs["corpus"]), folder, config=recipe["config"])
    else:
        seed = settings.pop("seed")
        distill_student(
            DistillStudentParams.model_validate(settings),
            seed,
            corpus=Path(inputs["corpus"]),
            logits=inputs["logits"] and Path(inputs["logits"]),
            embeddings=[Path(file) for file in inputs["embeddings"]],
            folder=folder,
            teacher=inputs["teacher"] and Path(inputs["teacher"]),
            config=recipe["config"],
        )
    former_files, repeated = TrainingLayout(path.parent), TrainingLayout(folder)
    differences = [] if read_json(repeated.report)["weights"] == report["weights"] else ["the weights"]
    for table, repeated_table in ((former_files.steps, repeated.steps), (former_files.epochs, repeated.epochs)):
        if table.exists() and _figures(table) != _figures(repeated_table):
            differences.append(table.name)
    if differences:
        raise UserError(
            f"{folder}: not what {path} describes: {' and '.join(differences)} differ",
            "The same bits need the same versions, kind of device and number of threads; the warnings above name what "
            "has changed.",
        )


def write_config(path: Path, target: Path) -> None:
    """Write the configuration of a report's run as YAML, for `snakemake --configfile`.

    Raises:
        UserError: the report has none.
    """
    config = _recipe(read_json(path), path)["config"]
    if config is None:
        raise UserError(f"{path}: was written outside the workflow, so it holds no config", "Use its `recipe`.")
    write_text(target, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def _recipe(report: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    recipe: Mapping[str, Any] | None = report.get("recipe")
    if recipe is None:
        raise UserError(f"{path}: has no recipe for training again", "Name a report of a teacher or student.")
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


def _figures(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]
