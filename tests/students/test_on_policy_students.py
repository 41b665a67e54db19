"""Students that learn from their own outputs, through the config."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Taught
from transformers import T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.students.params import DistillStudentParams


def steps(folder: Path) -> list[dict[str, str]]:
    with (folder / "step_metrics.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_share_of_the_steps_learns_from_own_outputs(taught: Taught, tmp_path: Path) -> None:
    variant = {"on_policy": {"fraction": 0.5}, "training": {"epochs": 5, "batch_size": 8}}
    one, again = (taught.distil(variant, tmp_path / name) for name in ("one", "again"))
    rows = steps(one)
    own = [bool(row["on_policy_loss"]) for row in rows]
    assert 0.2 * len(own) < sum(own) < 0.8 * len(own)
    for row, sampled in zip(rows, own, strict=True):
        assert (float(row["ce_loss_raw"]) == 0) == sampled == (float(row["kl_weight"]) == 0)
        assert float(row["total_loss_weighted"]) > 0
        if sampled:
            assert row["on_policy_loss"] == row["total_loss_weighted"]
            assert row["ce_grad_norm"] == "", "nothing for analyse-scaling to count"
    report = json.loads((one / "training_report.json").read_text())
    assert report["optimizer_steps"] == len(rows)
    assert report["examples_seen"] == sum(int(row["effective_batch_size"]) for row in rows)
    assert report["target_tokens"] > report["examples_seen"]
    assert [row["total_loss_weighted"] for row in rows] == [row["total_loss_weighted"] for row in steps(again)]
    weights = [load_file(folder / "final_model/model.safetensors") for folder in (one, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "start: on_policy is" in (one / "distillation_log.txt").read_text()


def test_no_other_student_is_given_the_teacher(taught: Taught) -> None:
    plain = taught.run_with({"on_policy": {"fraction": 0.0, "beta": 0.9}})
    params = DistillStudentParams.from_run(plain, "x")
    assert params == DistillStudentParams.from_run(taught.run_with({}), "x")
    assert not params.needs_teacher_model
    own = DistillStudentParams.from_run(taught.run_with({"on_policy": {"fraction": 0.3}}), "x")
    assert own.needs_teacher_model
    assert own.on_policy is not None
    assert own.on_policy.model_dump() == {"fraction": 0.3, "beta": 0.5, "temperature": 1.0}


def test_steps_that_are_all_on_policy_bring_the_student_to_the_teacher(taught: Taught, tmp_path: Path) -> None:
    variant = {"on_policy": {"fraction": 1.0}, "training": {"epochs": 12, "batch_size": 8}}
    losses = [float(row["on_policy_loss"]) for row in steps(taught.distil(variant, tmp_path / "student"))]
    tenth = len(losses) // 10
    assert sum(losses[-tenth:]) < 0.7 * sum(losses[:tenth])


@pytest.mark.parametrize(
    "variant", [{"on_policy": {"fraction": 0.5}}, {"loss": {"components": ["ce"], "weights": [1]}}, {}], ids=str
)
@pytest.mark.parametrize(("more", "refused"), [(-8, True), (8, False), (128, True)])
def test_a_student_of_another_vocabulary_is_refused_unless_it_is_padded(
    taught: Taught, tmp_path: Path, variant: dict[str, Any], more: int, refused: bool
) -> None:
    folder = tmp_path / "other"
    teacher = json.loads((taught.folder / "teacher/final_model/config.json").read_text())
    T5ForConditionalGeneration(T5Config(**teacher | {"vocab_size": teacher["vocab_size"] + more})).save_pretrained(
        folder
    )
    student = {"model": {"name": str(folder)}} | variant
    if refused:
        with pytest.raises(
            UserError, match=f"^{folder}: has {teacher['vocab_size'] + more} vocabulary entries, the tok"
        ):
            taught.distil(student, tmp_path / "student")
    else:
        config = taught.distil(student, tmp_path / "student") / "final_model/config.json"
        assert json.loads(config.read_text())["vocab_size"] == teacher["vocab_size"]


@pytest.mark.parametrize("bad", [{"fraction": 1.5}, {"beta": -0.1}, {"temperature": 0}, {"lambda": 0.5}])
def test_bad_options_are_refused(taught: Taught, bad: dict[str, float]) -> None:
    with pytest.raises(UserError, match=rf"variants\.x\.on_policy\.{next(iter(bad))}"):
        taught.run_with({"on_policy": bad})
