"""What a run is said to take on the disk."""

from pathlib import Path

import pytest

from assertkd.cluster.disk import run_disk
from assertkd.cluster.params import CheckCudaParams
from assertkd.dry_run import PlannedJob
from assertkd.models.registry import shape_and_parameter_count
from assertkd.settings import ModelSettings, RunSettings, StudentModelSettings, load_config, load_run
from assertkd.settings.load import merged_over
from assertkd.settings.model import size_settings

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def demo() -> RunSettings:
    return load_run(load_config(PROJECT / "config.yaml") | {"run": "demo"})


def job(rule: str, **wildcards: str) -> PlannedJob:
    return PlannedJob(rule, wildcards, (), "")


def test_models_are_counted_in_float32_and_checkpoints_with_their_optimizer_state(demo: RunSettings) -> None:
    teacher, student = (
        shape_and_parameter_count(ModelSettings(name="scratch", scratch=model.scratch), 1024)[1]
        for model in (demo.teacher.model, demo.variants["best"].model)
    )
    students = [job("distill_student", variant=name, seed="42") for name in demo.variants]
    disk = run_disk(demo, [job("train_teacher"), *students], 8)
    assert disk.models == 4 * (teacher + 4 * student)
    # Two that are kept and one that is being written, and the best weights; students may be trained side by side.
    assert disk.checkpoints == (3 * 12 + 4) * max(teacher, 4 * student)
    assert disk.logits == 0
    assert run_disk(demo, students, 2).checkpoints == (3 * 12 + 4) * 2 * student
    assert run_disk(demo, students[:1], 1).models == 4 * student


def test_the_estimate_of_the_demos_cache_is_of_the_size_that_was_measured(demo: RunSettings) -> None:
    # A finished demo has 6 MB.
    assert 4e6 < run_disk(demo, [job("compress_logits")], 1).logits < 20e6


def test_a_model_whose_sizes_are_not_here_is_not_counted(demo: RunSettings) -> None:
    unknown = demo.teacher.model_copy(update={"model": ModelSettings(name="nobody/knows")})
    run = RunSettings(**{**vars(demo), "teacher": unknown})
    disk = run_disk(run, [job("train_teacher"), job("compress_logits")], 1)
    assert (disk.models, disk.logits) == (0, 0)
    assert disk.total == disk.texts > 0


def test_a_student_of_its_teachers_layers_is_as_large_as_one_of_so_many_layers() -> None:
    config = load_config(PROJECT / "config.yaml")
    run = load_run(merged_over(config, {"data": {"train_file": "r.jsonl"}}) | {"run": "across_projects"})
    sizes = {"d_model": 128, "d_ff": 256, "heads": 4, "encoder_layers": 1, "decoder_layers": 1}
    alike = shape_and_parameter_count(ModelSettings(name="scratch", scratch=sizes), 2048)[1]
    assert run_disk(run, [job("distill_student", variant="best", seed="42")], 1).models == 4 * alike
    assert CheckCudaParams.from_run(run).trainings["student hard_labels"].model.scratch.encoder_layers == 1


def test_a_student_of_a_named_teachers_layers_is_taken_to_be_as_large_as_its_teacher() -> None:
    named = StudentModelSettings(teacher_layers=(0, 1))
    assert size_settings(named, ModelSettings(name="some/teacher")).name == "some/teacher"
