"""Students that learn their teacher's hidden states, and narrow ones, through the config."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Taught
from transformers import T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.registry import parameter_count
from assertkd.students.params import DistillStudentParams

LOSS = {"components": ["ce", "hidden"], "weights": [0.5, 0.5]}


def test_a_student_comes_closer_to_its_teachers_hidden_states(taught: Taught, tmp_path: Path) -> None:
    folder = taught.distil({"loss": LOSS, "training": {"epochs": 20, "lr": 0.03}}, tmp_path / "student")
    with (folder / "step_metrics.csv").open(newline="") as handle:
        losses = [float(row["hidden_loss_raw"]) for row in csv.DictReader(handle)]
    third = len(losses) // 3
    assert 0 < sum(losses[-third:]) < 0.8 * sum(losses[:third])
    student = T5ForConditionalGeneration.from_pretrained(folder / "final_model")
    report = json.loads((folder / "training_report.json").read_text())
    assert report["parameters"] == parameter_count(student), "without projections"
    assert "start: hidden is" in (folder / "distillation_log.txt").read_text()


def test_the_teacher_is_given_to_the_student_that_needs_it(taught: Taught) -> None:
    assert DistillStudentParams.from_run(taught.run_with({"loss": LOSS}), "x").needs_teacher_model
    plain = DistillStudentParams.from_run(taught.run_with({"loss": {"hidden": {"distance": "mse"}}}), "x")
    assert not plain.needs_teacher_model
    assert plain == DistillStudentParams.from_run(taught.run_with({}), "x")


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        (
            {"loss": LOSS | {"hidden": {"student_layers": [1]}}},
            "variants.x.loss.hidden: the student's decoder has no layer 1: its layers are 0 to 0",
        ),
        (
            {"loss": LOSS | {"hidden": {"teacher_layers": [2]}}, "model": {"teacher_layers": [1]}},
            "variants.x.loss.hidden: the teacher's decoder has no layer 2: its layers are 0 to 1",
        ),
        (
            {"loss": LOSS, "model": {"name": "scratch", "tokenizer": {"vocab_size": 300}}},
            "variants.x.loss: hidden compares teacher and student token by token",
        ),
        ({"loss": LOSS | {"hidden": {"distance": "l1"}}}, "variants.x.loss.hidden.distance: "),
        (
            {"model": {"teacher_layers": [0], "teacher_heads": 3, "teacher_d_ff": 33}},
            "variants.x.model.teacher_heads: 3 is more than the teacher's 2 attention heads\n"
            "variants.x.model.teacher_d_ff: 33 is more than the teacher's 32 feed-forward units",
        ),
        ({"model": {"teacher_d_ff": 8}}, "teacher_d_ff goes with teacher_layers, which is not set"),
        ({"model": {"teacher_layers": [0], "teacher_heads": 0}}, "variants.x.model.teacher_heads: "),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_any_job(taught: Taught, variant: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        taught.run_with(variant)
    assert said in refused.value.problem


def test_a_narrow_student_of_layers_trains_and_is_as_large_as_it_says(taught: Taught, tmp_path: Path) -> None:
    model = {"teacher_layers": [1], "teacher_heads": 1, "teacher_d_ff": 20}
    folder = taught.distil({"model": model, "loss": LOSS}, tmp_path / "student")
    student = T5ForConditionalGeneration.from_pretrained(folder / "final_model")
    config = student.config
    assert (config.num_layers, config.num_heads, config.d_kv, config.d_ff, config.d_model) == (1, 1, 8, 20, 16)
    full = taught.distil({"model": {"teacher_layers": [1]}}, tmp_path / "full")
    counts = [json.loads((one / "training_report.json").read_text())["parameters"] for one in (folder, full)]
    # Three attentions lose a head of four matrices 16 x 8, two feed-forward layers 12 units, two stacks 32 biases.
    assert counts[1] - counts[0] == 3 * 4 * 16 * 8 + 2 * 2 * 12 * 16 + 2 * 32
