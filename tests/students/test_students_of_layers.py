"""Students made of their teacher's layers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_run import Taught
from transformers import T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.registry import parameter_count
from assertkd.models.t5.model import T5Model
from assertkd.settings import load_run
from assertkd.settings.model import ScratchSettings
from assertkd.students.params import DistillStudentParams

SIZES = ScratchSettings(d_model=16, d_ff=32, heads=2, encoder_layers=4, decoder_layers=3)


@pytest.fixture
def teacher(tiny_t5: Callable[..., T5Model]) -> T5ForConditionalGeneration:
    return tiny_t5(3, 0.0, SIZES).network.eval()


def test_the_copied_layers_are_the_teachers(teacher: T5ForConditionalGeneration) -> None:
    student = T5Model(teacher).with_layers({"encoder": [1, 3], "decoder": [2, 0]}, dropout=0.1).network
    assert (student.config.num_layers, student.config.num_decoder_layers) == (2, 2)
    assert student.config.dropout_rate == 0.1
    assert teacher.config.dropout_rate == 0.0
    for stack, layers in (("encoder", [1, 3]), ("decoder", [2, 0])):
        own, taught = getattr(student, stack), getattr(teacher, stack)
        for index, layer in enumerate(layers):
            weights = own.block[index].state_dict()
            source = taught.block[layer].state_dict()
            positions = "layer.0.SelfAttention.relative_attention_bias.weight"
            assert set(weights) - {positions} == set(source) - {positions}
            assert all(torch.equal(weights[name], source[name]) for name in set(weights) - {positions})
        # The first layer has the stack's position biases, whichever layer it is copied from.
        first = own.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        assert torch.equal(first, taught.block[0].layer[0].SelfAttention.relative_attention_bias.weight)
        assert torch.equal(own.final_layer_norm.weight, taught.final_layer_norm.weight)
    assert torch.equal(student.shared.weight, teacher.shared.weight)
    assert torch.equal(student.lm_head.weight, teacher.lm_head.weight)
    with torch.no_grad():
        student.shared.weight.zero_()
    assert teacher.shared.weight.any(), "copies, not views"


def test_all_layers_make_the_teacher_again(teacher: T5ForConditionalGeneration) -> None:
    student = T5Model(teacher).with_layers({"encoder": range(4), "decoder": range(3)}, dropout=0.0).network.eval()
    ids = torch.randint(4, 300, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = [model(input_ids=ids, labels=ids[:, :5].contiguous()).logits for model in (teacher, student)]
    assert torch.equal(logits[0], logits[1])
    assert parameter_count(student) == parameter_count(teacher)


def test_layers_that_do_not_exist_are_named(teacher: T5ForConditionalGeneration) -> None:
    with pytest.raises(UserError) as caught:
        T5Model(teacher).with_layers({"encoder": [0, 4, 5], "decoder": [3]}, dropout=0.0)
    assert caught.value.problem == (
        "model.teacher_layers: the teacher's encoder has no layer 4, 5: its layers are 0 to 3; "
        "the teacher's decoder has no layer 3: its layers are 0 to 2"
    )


def test_a_student_of_layers_trains_from_the_config(taught: Taught, tmp_path: Path) -> None:
    folder = taught.distil({"model": {"teacher_layers": [1], "teacher_decoder_layers": [0, 1]}}, tmp_path / "student")
    student = T5ForConditionalGeneration.from_pretrained(folder / "final_model")
    assert (student.config.num_layers, student.config.num_decoder_layers, student.config.d_model) == (1, 2, 16)
    report = json.loads((folder / "training_report.json").read_text())
    assert report["parameters"] == parameter_count(student)
    # It starts from the teacher, so it is far ahead of a student from scratch.
    scratch = json.loads((taught.distil({}, tmp_path / "scratch") / "training_report.json").read_text())
    assert report["final"]["validation_loss"] < scratch["final"]["validation_loss"]


def test_layers_are_checked_before_any_job(taught: Taught) -> None:
    with pytest.raises(UserError) as caught:
        taught.run_with({"model": {"teacher_layers": [0, 2]}})
    assert caught.value.problem.splitlines() == [
        "variants.x.model.teacher_layers: the teacher's encoder has no layer 2: its layers are 0 to 1",
        "variants.x.model.teacher_layers: the teacher's decoder has no layer 2: its layers are 0 to 1",
    ]
    with pytest.raises(UserError, match="teacher_decoder_layers goes with teacher_layers"):
        taught.run_with({"model": {"teacher_decoder_layers": [0]}})
    for bad in ([], [-1], "all"):
        with pytest.raises(UserError, match=r"variants\.x\.model\.teacher_layers"):
            load_run({"run": "r", "runs": {"r": {}}, "variants": {"x": {"model": {"teacher_layers": bad}}}})


def test_sizes_do_not_matter_to_a_student_of_layers(taught: Taught) -> None:
    layers = {"teacher_layers": [0]}
    plain = DistillStudentParams.from_run(taught.run_with({"model": layers}), "x")
    other_sizes = {"model": {**layers, "name": "other", "scratch": {"d_ff": 64}}}
    assert plain == DistillStudentParams.from_run(taught.run_with(other_sizes), "x")
    assert plain.model.layers == {"encoder": (0,), "decoder": (0,)}
