"""What a run is said to take on the disk."""

from pathlib import Path

import pytest

from assertkd.cluster.disk import run_disk
from assertkd.dry_run import PlannedJob
from assertkd.models.registry import shape_and_parameter_count
from assertkd.settings import ModelSettings, RunSettings, load_config, load_run

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
