"""An interrupted training ends as if nothing had happened: weights, tables and curves, bit for bit."""

import copy
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from copy_task import SIZES, VOCABULARY, OneHot, copy_task, curves, rows, what_is_left
from safetensors.torch import load_file
from transformers import T5ForConditionalGeneration

from assertkd import locking
from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example
from assertkd.batching.sampling import bucketed_batches
from assertkd.errors import UserError
from assertkd.losses.loss_plan import plan_loss
from assertkd.models.encoders import TextEncoder
from assertkd.settings import LossSettings
from assertkd.signals import StopRequested
from assertkd.training import train as train_module
from assertkd.training import trainer as trainer_module
from assertkd.training.checkpoint_store import CheckpointStore
from assertkd.training.data import TrainingData
from assertkd.training.hooks import validation as validation_module
from assertkd.training.hooks.journal import Journal
from assertkd.training.loss_term import StepContext
from interrupted import Killed

Train = Callable[..., Path]

STEPS = 6
"""Optimizer steps of every training here: three epochs of two."""
TRAINING: dict[str, Any] = {"batch_size": 4, "gradient_accumulation_steps": 3, "epochs": 3, "checkpoint_every": 2}


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[int], Callable[[], None]], None]:
    """Return a function that lets something happen in the steps of these numbers, once each."""

    def arrange(steps: Iterable[int], event: Callable[[], None]) -> None:
        left, accumulate = set(steps), trainer_module.accumulate

        def disturbed(terms: Any, context: StepContext) -> Any:
            if context.step in left:
                left.discard(context.step)
                event()
            return accumulate(terms, context)

        monkeypatch.setattr(trainer_module, "accumulate", disturbed)

    return arrange


def by_signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def by_death() -> None:
    raise Killed


def until_done(train: Callable[[], Path]) -> tuple[Path, int]:
    """Train, again after every interruption; return the folder and the number of interruptions."""
    for interruptions in range(50):
        try:
            return train(), interruptions
        except (StopRequested, Killed):
            continue
    raise AssertionError("it never ends")


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path) -> TextEncoder:
    encoder = TextEncoder(tiny_encoder_folder)
    texts = sorted({example.target for example in copy_task(24)})
    encoder.pin(texts, encoder.encode(texts))
    return encoder


@pytest.fixture
def student(data: TrainingData, encoder: TextEncoder) -> Callable[[], dict[str, Any]]:
    """Return a function that gives a fresh student's data and loss: every kind of component, weights that move."""
    plan = plan_loss(
        LossSettings(
            components=("ce", "jsd", "pans", "semantic"),
            temperature=2.0,
            dynamic_weighting=True,
            normalise="running_mean",
            text={"share": 0.5, "samples": 3},
            semantic={"encoder": encoder.name},
        )
    )
    given = replace(data, teacher=OneHot(VOCABULARY), max_new_tokens=6)

    def fresh() -> dict[str, Any]:
        # As a process finds it: the corpus's embeddings are there, no other text was seen.
        fresh_encoder = copy.copy(encoder)
        fresh_encoder.restore_cache({"hits": 0, "misses": 0, "texts": []}, torch.zeros(0, encoder.dimension))
        with_encoder = replace(given, encoders={"semantic": fresh_encoder}, validation_encoder=encoder)
        return {"data": with_encoder, "plan": plan, "enhanced_metrics": True, "validation_samples": 3, **TRAINING}

    return fresh


WHOLE: dict[str, dict[str, Any]] = {}


@pytest.fixture
def whole_student(trained: Train, student: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what the uninterrupted student leaves; it is trained once for all tests."""
    if "student" not in WHOLE:
        WHOLE["student"] = what_is_left(trained("whole", **student()))
    assert len(WHOLE["student"]["steps"]) == STEPS
    return WHOLE["student"]


@pytest.fixture
def whole_teacher(trained: Train, data: TrainingData) -> dict[str, Any]:
    if "teacher" not in WHOLE:
        WHOLE["teacher"] = what_is_left(trained("whole", data, **TRAINING))
    return WHOLE["teacher"]


@pytest.mark.parametrize("event", [by_signal, by_death])
def test_a_teacher_that_is_interrupted_at_every_step(
    trained: Train,
    data: TrainingData,
    whole_teacher: dict[str, Any],
    interrupt: Callable[..., None],
    event: Callable[[], None],
) -> None:
    interrupt(range(STEPS), event)
    folder, interruptions = until_done(lambda: trained("cut", data, **TRAINING))
    assert interruptions == STEPS
    assert what_is_left(folder) == whole_teacher
    assert not (folder / "checkpoints").exists()
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    "further",
    [
        {"precision": "bf16"},
        {"relative_lr": True, "log_every": 4},
        {"token_budget": 30, "gradient_accumulation_steps": 2},
        {"token_budget": 30, "max_steps": 5},
    ],
)
def test_other_ways_to_train_continue_as_well(
    trained: Train, data: TrainingData, interrupt: Callable[..., None], further: dict[str, Any]
) -> None:
    settings = TRAINING | further
    whole = what_is_left(trained("whole", data, **settings))
    interrupt([1, 4], by_signal)
    interrupt([2], by_death)
    folder, interruptions = until_done(lambda: trained("cut", data, **settings))
    assert interruptions == 3
    assert what_is_left(folder) == whole


def test_an_epoch_that_is_cut_off_continues_within_it(
    trained: Train, data: TrainingData, interrupt: Callable[..., None]
) -> None:
    # Six steps an epoch: the second one ends after three of them.
    settings = TRAINING | {"gradient_accumulation_steps": 1, "max_steps": 9, "best_metric": "validation_loss"}
    whole = trained("whole", data, **settings)
    steps = rows(whole / "step_metrics.csv")
    assert [(row["epoch"], row["mini_batch_idx"]) for row in steps] == [
        *(("1", str(n)) for n in range(6)), *(("2", str(n)) for n in range(3)),
    ]  # fmt: skip
    uninterrupted = json.loads((whole / "training_report.json").read_text())
    assert (uninterrupted["optimizer_steps"], uninterrupted["examples_seen"]) == (9, 36)
    interrupt(range(9), by_signal)
    interrupt([7], by_death)
    folder, interruptions = until_done(lambda: trained("cut", data, **settings))
    assert interruptions == 10
    assert what_is_left(folder) == what_is_left(whole)
    report = json.loads((folder / "training_report.json").read_text())
    for key in ("optimizer_steps", "skipped_steps", "examples_seen", "target_tokens"):
        assert report[key] == uninterrupted[key], key


class Pool:
    """The copy task's records, one example each."""

    examples_of = np.ones(24, np.int64)

    def __len__(self) -> int:
        return len(self.examples_of)

    def examples(self, numbers: Iterable[int]) -> list[Example]:
        whole = copy_task(len(self))
        return [whole[number] for number in numbers]


@pytest.mark.parametrize("length", [{}, {"max_steps": 5}])
def test_sampled_epochs_continue_with_the_same_draw(
    trained: Train, data: TrainingData, interrupt: Callable[..., None], length: dict[str, int]
) -> None:
    steps = length.get("max_steps", STEPS)

    def train(name: str) -> Path:
        # A process has a sampler of its own.
        sampled = replace(data, train=EpochSampler(Pool.examples_of, Pool().examples, 20, seed=5))
        return trained(name, sampled, **TRAINING | {"epoch_sampling": True, "max_train_samples": 20} | length)

    whole = what_is_left(train("whole"))
    assert len(whole["steps"]) == steps
    interrupt(range(steps), by_signal)
    folder, interruptions = until_done(lambda: train("cut"))
    assert interruptions == steps
    assert what_is_left(folder) == whole


@pytest.mark.parametrize("event", [by_signal, by_death])
def test_a_student_that_is_interrupted_at_every_step(
    trained: Train,
    student: Callable[[], dict[str, Any]],
    whole_student: dict[str, Any],
    interrupt: Callable[..., None],
    event: Callable[[], None],
) -> None:
    interrupt(range(STEPS), event)
    folder, interruptions = until_done(lambda: trained("cut", **student()))
    assert interruptions == STEPS
    assert what_is_left(folder) == whole_student


@pytest.mark.parametrize("step", [0, 3, STEPS - 1])
def test_a_student_that_is_interrupted_once(
    trained: Train,
    student: Callable[[], dict[str, Any]],
    whole_student: dict[str, Any],
    interrupt: Callable[..., None],
    step: int,
) -> None:
    interrupt([step], by_signal)
    folder, _ = until_done(lambda: trained("cut", **student()))
    assert what_is_left(folder) == whole_student
    report = json.loads((folder / "training_report.json").read_text())
    assert [attempt["step"] for attempt in report["attempts"]] == [0, step + 1]


def test_processes_that_load_batches_change_nothing(
    trained: Train, student: Callable[[], dict[str, Any]], whole_student: dict[str, Any], interrupt: Callable[..., None]
) -> None:
    loading = {"num_workers": 2}
    assert what_is_left(trained("loading", **student(), **loading)) == whole_student
    interrupt([1, 2], by_signal)
    folder, interruptions = until_done(lambda: trained("cut", **student(), **loading))
    assert interruptions == 2
    assert what_is_left(folder) == whole_student


def disturb_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int = 1) -> None:
    """Let a signal come in a function, at its call of this number."""
    original, calls = getattr(owner, name), itertools.count(1)

    def disturbed(*arguments: Any, **named: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, disturbed)


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (validation_module, "teacher_forced", 1),
        (validation_module, "decoded", 3),
        (CheckpointStore, "save", 2),
        (Journal, "on_epoch_end", 1),
        (OneHot, "read_example", 5),
        (OneHot, "read_example", 50),
    ],
)
def test_a_signal_while_validating_saving_logging_or_loading(
    trained: Train,
    student: Callable[[], dict[str, Any]],
    whole_student: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    call: int,
) -> None:
    disturb_once(monkeypatch, owner, name, call)
    folder, interruptions = until_done(lambda: trained("cut", **student()))
    assert interruptions == 1
    assert what_is_left(folder) == whole_student


@pytest.mark.parametrize(("owner", "name"), [(train_module, "loss_summary"), (Journal, "publish")])
def test_a_signal_when_all_is_trained_does_not_undo_it(
    trained: Train,
    data: TrainingData,
    whole_teacher: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
) -> None:
    disturb_once(monkeypatch, owner, name)
    assert what_is_left(trained("cut", data, **TRAINING)) == whole_teacher


def test_a_second_signal_does_not_disturb_the_saving(
    trained: Train, data: TrainingData, interrupt: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt([0], by_signal)
    disturb_once(monkeypatch, CheckpointStore, "save")
    with pytest.raises(StopRequested) as stopped:
        trained("cut", data, **TRAINING)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert stopped.value.signal is signal.SIGTERM


def test_the_log_says_why_a_training_ended_and_where_it_continues(
    trained: Train, data: TrainingData, interrupt: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "assertkd")
    interrupt([2], by_signal)
    with pytest.raises(StopRequested):
        trained("cut", data, **TRAINING)
    assert "checkpoint of step 3 (SIGTERM)" in caplog.text
    assert "SIGTERM asked this process to stop (exit code 143): after step 3" in caplog.text
    caplog.clear()
    interrupt([4], by_death)
    with pytest.raises(Killed):
        trained("cut", data, **TRAINING)
    assert "continuing after step 3 (epoch 2); the process before was stopped by SIGTERM" in caplog.text
    caplog.clear()
    trained("cut", data, **TRAINING)
    assert "continuing after step 4 (epoch 2); the process before ended between checkpoints" in caplog.text


def test_the_best_epoch_is_kept_after_interruptions_too(
    trained: Train, data: TrainingData, interrupt: Callable[..., None]
) -> None:
    # At so large a rate the first epoch stays the best.
    settings = TRAINING | {"lr": 0.7, "best_metric": "validation_token_accuracy", "early_stopping": 2, "epochs": 9}
    whole = trained("whole", data, **settings)
    report = json.loads((whole / "training_report.json").read_text())
    table = rows(whole / "training_metrics.csv")
    best = report["selection"]["epoch"]
    assert len(table) == report["epochs"] == best + 2 < 9
    accuracies = [float(row["validation_token_accuracy"]) for row in table]
    assert best == 1 + accuracies.index(max(accuracies))
    assert report["final"]["validation_loss"] == float(table[best - 1]["validation_loss"])

    model = T5ForConditionalGeneration.from_pretrained(whole / "final_model").eval()
    losses = []
    for example in data.validation:
        with torch.no_grad():
            labels = torch.tensor([example.target_ids])
            losses.append(model(input_ids=torch.tensor([example.input_ids]), labels=labels).loss.item())
    # All targets are of one length, so the mean over tokens is that over examples.
    assert sum(losses) / len(losses) == pytest.approx(report["final"]["validation_loss"], rel=1e-4)

    interrupt(range(2 * report["epochs"]), by_signal)
    folder, interruptions = until_done(lambda: trained("cut", data, **settings))
    assert interruptions == 2 * report["epochs"]
    assert what_is_left(folder) == what_is_left(whole)
    again = json.loads((folder / "training_report.json").read_text())
    for key in ("selection", "weights", "epochs"):
        assert again[key] == report[key]


@pytest.fixture
def killed(trained: Train, data: TrainingData, interrupt: Callable[..., None], tmp_path: Path) -> Path:
    """Return the folder of a training that died before its last step, with checkpoints of steps 2 and 4."""
    interrupt([5], by_death)
    with pytest.raises(Killed):
        trained("cut", data, **TRAINING)
    found = sorted(path.name for path in (tmp_path / "cut/checkpoints").glob("step-*"))
    assert found == ["step-00000002", "step-00000004"]
    return tmp_path / "cut"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("broken", "continued"),
    [
        (["step-00000004/weights.safetensors"], 2),
        (["step-00000004/optimizer.safetensors"], 2),
        (["step-00000004/random.safetensors"], 2),
        (["step-00000004/state.json"], 2),
        (["step-00000004/state.json", "step-00000002/weights.safetensors"], 0),
    ],
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    trained: Train,
    data: TrainingData,
    whole_teacher: dict[str, Any],
    killed: Path,
    caplog: pytest.LogCaptureFixture,
    broken: list[str],
    continued: int,
) -> None:
    for file in broken:
        damage(killed / "checkpoints" / file)
    folder = trained("cut", data, **TRAINING)
    assert f"{broken[0].partition('/')[0]}: this checkpoint is damaged" in caplog.text
    report = json.loads((folder / "training_report.json").read_text())
    assert report["attempts"][-1]["step"] == continued
    assert what_is_left(folder) == whole_teacher


def test_a_checkpoint_without_its_tables_is_damaged(
    trained: Train,
    data: TrainingData,
    whole_teacher: dict[str, Any],
    killed: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = killed / "checkpoints/logs/step_metrics.csv"
    os.truncate(table, table.stat().st_size // 4)
    folder = trained("cut", data, **TRAINING)
    assert "step_metrics.csv is shorter than it was" in caplog.text
    assert what_is_left(folder) == whole_teacher


def test_a_half_written_checkpoint_is_none(
    trained: Train, data: TrainingData, whole_teacher: dict[str, Any], killed: Path
) -> None:
    checkpoints = killed / "checkpoints"
    (checkpoints / "step-00000004").rename(checkpoints / ".step-00000004.123.partial")
    (checkpoints / ".step-00000004.123.partial/state.json").unlink()
    folder = trained("cut", data, **TRAINING)
    assert what_is_left(folder) == whole_teacher


def test_another_training_is_not_continued_unless_told_to_start_over(
    trained: Train, data: TrainingData, killed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = TRAINING | {"lr": 0.02, "weight_decay": 0.0}
    with pytest.raises(UserError) as refused:
        trained("cut", data, **changed)
    assert "training.lr was 0.01, is 0.02; training.weight_decay was 0.01, is 0.0" in refused.value.problem
    assert f"rm -r '{killed / 'checkpoints'}'" in refused.value.remedy
    assert "on_checkpoint_mismatch: discard" in refused.value.remedy
    folder = trained("cut", data, **changed, on_checkpoint_mismatch="discard")
    assert "the checkpoint of another training is discarded" in caplog.text
    assert what_is_left(folder) == what_is_left(trained("whole", data, **changed))


def test_settings_that_change_no_weight_do_not_stand_in_the_way(
    trained: Train, data: TrainingData, whole_teacher: dict[str, Any], killed: Path
) -> None:
    folder = trained("cut", data, **TRAINING | {"checkpoint_every": 1, "num_workers": 1})
    assert len(json.loads((folder / "training_report.json").read_text())["attempts"]) == 2
    assert what_is_left(folder) == whole_teacher


def test_other_data_or_another_initial_model_is_refused(
    trained: Train, data: TrainingData, interrupt: Callable[..., None], tmp_path: Path
) -> None:
    source = tmp_path / "train.jsonl"
    source.write_text("{}")
    interrupt([3], by_death)
    with pytest.raises(Killed):
        trained("cut", replace(data, files=(source,)), **TRAINING)
    source.write_text('{"id": "another"}')
    with pytest.raises(UserError) as refused:
        trained("cut", replace(data, files=(source,)), seed=4, **TRAINING)
    assert f"seed was 3, is 4; file {source} changed; initial weights changed" in refused.value.problem


def test_the_last_good_checkpoint_stays_when_a_loss_is_not_finite(
    trained: Train, data: TrainingData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_loss(LossSettings(components=("ce", "kl")))
    checked, second = (
        {index for batch in bucketed_batches([6] * 24, 4, 3, epoch)[part] for index in batch}
        for epoch, part in ((0, slice(0, 3)), (1, slice(3, 6)))
    )
    bad = min(second - checked)
    broken = replace(data, teacher=OneHot(VOCABULARY, broken=[data.train[bad].id]))
    for _ in range(2):
        with pytest.raises(UserError, match="step 1: loss component kl is not finite"):
            trained("cut", broken, plan, **TRAINING | {"checkpoint_every": 1, "log_every": 4})
        assert f"the last good checkpoint stays in {tmp_path / 'cut/checkpoints'}" in caplog.text
        (kept,) = (tmp_path / "cut/checkpoints").glob("step-*")
        assert kept.name == "step-00000001"
        assert all(weights.isfinite().all() for weights in load_file(kept / "weights.safetensors").values())


def test_two_processes_do_not_train_into_one_folder(
    trained: Train, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "Timing", partial(locking.Timing, touch=0.2, patience=1.0))
    hold = "import sys, time; from pathlib import Path; from assertkd import locking\n"
    hold += "with locking.held(Path(sys.argv[1]), 'checkpoints', locking.Timing(touch=0.2)):\n"
    hold += "    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path / "cut")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match=f"is being written by process {other.pid}"):
            trained("cut", data, **TRAINING)
        other.kill()
    assert (trained("cut", data, **TRAINING) / "final_model").exists()


def test_a_published_folder_holds_nothing_of_an_earlier_training(trained: Train, data: TrainingData) -> None:
    folder = trained("out", data, **TRAINING)
    assert (folder / "epoch_3_summary.json").exists()
    trained("out", data, **TRAINING | {"epochs": 1})
    assert {path.name for path in folder.glob("epoch_*")} == {"epoch_1_summary.json"}
    assert [step for step, _ in curves(folder / "tensorboard")["Loss/total"]] == [0, 1]


def test_projections_of_hidden_states_continue_with_their_optimizer(
    trained: Train, data: TrainingData, tiny_t5: Callable[..., Any], interrupt: Callable[..., None]
) -> None:
    plan = plan_loss(LossSettings(components=("ce", "hidden"), weights=(0.5, 0.5)))
    teacher = tiny_t5(7, 0.0, SIZES.model_copy(update={"d_model": 24, "decoder_layers": 2})).eval()
    taught = replace(data, hidden_teacher=teacher.requires_grad_(False))
    whole = trained("whole", taught, plan, **TRAINING)
    losses = [float(row["hidden_loss_raw"]) for row in rows(whole / "step_metrics.csv")]
    assert losses[-1] < 0.9 * losses[0]
    saved = load_file(whole / "final_model/model.safetensors")
    assert not any("projection" in name for name in saved)
    interrupt([3], by_death)
    with pytest.raises(Killed):
        trained("cut", taught, plan, **TRAINING)
    (checkpoint,) = (whole.parent / "cut/checkpoints").glob("step-00000002")
    assert load_file(checkpoint / "weights.safetensors")["hidden.projection.0"].shape == (24, 32)
    moments = {name for name in load_file(checkpoint / "optimizer.safetensors") if name.startswith("hidden.")}
    assert {name.partition(":")[2] for name in moments} == {"step", "exp_avg", "exp_avg_sq"}
    interrupt(range(STEPS), by_signal)
    folder, _ = until_done(lambda: trained("cut", taught, plan, **TRAINING))
    assert what_is_left(folder) == what_is_left(whole)
