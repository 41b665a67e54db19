"""The files that grow in a training, on their own."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from copy_task import rows

from assertkd.layout import TrainingLayout
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.settings import LossSettings
from assertkd.training.hooks.hook import StepRecord
from assertkd.training.hooks.journal import FOLDER, Journal
from assertkd.training.trainer import Trainer

TRAINER: Any = cast(Trainer, SimpleNamespace(position=SimpleNamespace(epoch=1, examples=0)))
"""All of a trainer that a journal asks for at the end of steps and epochs."""


@pytest.fixture
def plan() -> LossPlan:
    return plan_loss(LossSettings(components=("ce", "kl")))


@pytest.fixture
def journal(tmp_path: Path, plan: LossPlan) -> Callable[..., Journal]:
    """Return a function that opens the journal of one training, new or continued."""
    return lambda lengths=None: Journal(tmp_path, plan, [], ["total", "encoder"], ["exact_match"], lengths)


def record(step: int, weights: Mapping[str, float] | None = None) -> StepRecord:
    return StepRecord(
        epoch=1,
        step=step,
        epoch_step=step,
        examples=8,
        total=2.0 + step,
        raw={"ce": 1.5, "kl": 0.25},
        weights=weights or {"ce": 1.0, "kl": 0.5},
        part_norms={"ce": 0.75, "kl": 0.125},
        gradient_norms={"total": 3.0, "encoder": 2.0},
        columns={},
        learning_rate=0.01,
        elapsed=1.0,
        memory_mb=5.0,
        peak_memory_mb=7.0,
    )


def test_a_step_is_a_row_and_one_that_is_not_logged_is_none(
    journal: Callable[..., Journal], tmp_path: Path, plan: LossPlan
) -> None:
    written = journal()
    written.on_step_end(TRAINER, record(0))
    written.on_step_end(TRAINER, None)
    written.on_step_end(TRAINER, record(2, {"ce": 0.0, "kl": 0.0}))
    written.close()
    first, last = rows(tmp_path / FOLDER / TrainingLayout(tmp_path).steps.name)
    kl = next(component for component in plan.components if component.name == "kl")
    assert (first["step"], last["step"]) == ("0", "2")
    assert float(first["kl_loss_raw"]) == 0.25
    assert float(first["kl_loss_weighted"]) == pytest.approx(0.5 * kl.scale * 0.25)
    assert float(first["kl_grad_norm"]) == 0.125
    assert float(first["total_loss_raw"]) == 1.75
    assert (first["grad_norm_total"], first["grad_norm_encoder"]) == ("3.0", "2.0")
    assert last["kl_grad_norm"] == ""
    assert (first["memory_usage_mb"], first["peak_memory_mb"]) == ("5.0", "7.0")


def test_a_continued_journal_has_what_the_checkpoint_saw_and_no_more(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    first = journal()
    first.on_step_end(TRAINER, record(0))
    lengths = json.loads(json.dumps(first.lengths()))
    first.on_step_end(TRAINER, record(1))
    first.on_epoch_end(TRAINER, {"step": 2, "train_loss": 1.0, "validation_loss": 1.0})
    first.close()
    folder = TrainingLayout(tmp_path / FOLDER)
    assert folder.epoch_summary(1).exists()
    second = journal(lengths)
    assert not folder.epoch_summary(1).exists()
    second.on_step_end(TRAINER, record(7))
    second.close()
    assert [row["step"] for row in rows(folder.steps)] == ["0", "7"]
    assert rows(folder.epochs) == []


def test_a_new_journal_starts_with_nothing(journal: Callable[..., Journal], tmp_path: Path) -> None:
    for _ in range(2):
        written = journal()
        written.on_step_end(TRAINER, record(0))
        written.close()
    assert len(rows(TrainingLayout(tmp_path / FOLDER).steps)) == 1


def test_what_is_published_takes_the_place_of_an_earlier_trainings_files(
    journal: Callable[..., Journal], tmp_path: Path
) -> None:
    target = TrainingLayout(tmp_path / "student")
    (target.folder / "tensorboard").mkdir(parents=True)
    (target.folder / "tensorboard/old").write_text("old")
    target.epoch_summary(9).write_text("{}")
    written = journal()
    written.on_step_end(TRAINER, record(0))
    written.on_epoch_end(TRAINER, {"step": 1, "train_loss": 1.0, "validation_loss": 0.5})
    written.publish(target)
    assert [row["step"] for row in rows(target.steps)] == ["0"]
    assert json.loads(target.epoch_summary(1).read_text())["validation_loss"] == 0.5
    assert not target.epoch_summary(9).exists()
    assert not (target.tensorboard / "old").exists()
    assert list(target.tensorboard.iterdir())
    assert not list(target.folder.glob(".*"))
