"""Two processes train as one with the same effective batch, and continue after a signal as if there had been none."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from copy_task import rows, unmeasured
from copy_task_stage import CopyTaskParams, train_copy_task
from safetensors.torch import load_file

from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.settings import LossSettings, TrainingSettings

HERE = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, preloaded: None) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def settings_of(**given: Any) -> TrainingSettings:
    return TrainingSettings(**{"lr": 0.01, "device": "cpu", "dropout_rate": 0.0, "epochs": 5} | given)


def alone(folder: Path, plan: LossPlan, settings: TrainingSettings) -> Path:
    try:
        train_copy_task(CopyTaskParams(loss=plan, training=settings), folder)
    finally:
        torch.use_deterministic_algorithms(False)
    return folder


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    # 34 examples in 9 batches, 4 of them a step: of the epoch's last step the second process has nothing.
    plan = plan_loss(LossSettings(components=("ce", "kl", "focal"), temperature=2.0))
    one = alone(tmp_path / "one", plan, settings_of(batch_size=4, gradient_accumulation_steps=4, epochs=7))
    two = tmp_path / "two"
    settings = settings_of(batch_size=4, gradient_accumulation_steps=2, epochs=7, gpus=2)
    train_copy_task(CopyTaskParams(loss=plan, training=settings), two)
    weights = [load_file(folder / "final_model/model.safetensors") for folder in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    for name, expected in weights[0].items():
        assert (weights[1][name] - expected).norm() <= 5e-5 * expected.norm(), name
    seen = [json.loads((folder / "training_report.json").read_text()) for folder in (one, two)]
    for report in seen:
        assert (report["optimizer_steps"], report["examples_seen"], report["target_tokens"]) == (21, 7 * 34, 7 * 102)
    steps = [rows(folder / "step_metrics.csv") for folder in (one, two)]
    assert len(steps[0]) == len(steps[1]) == 21
    for number, (before, now) in enumerate(zip(*steps, strict=True)):
        assert before["effective_batch_size"] == now["effective_batch_size"]
        # Rounding grows from step to step, in gradients more than in losses.
        for column, bound in (("total_loss_weighted", 1e-4), ("kl_loss_raw", 1e-4), ("grad_norm_total", 2e-3)):
            assert float(now[column]) == pytest.approx(float(before[column]), rel=bound if number else 1e-5), column
        assert float(now["kl_grad_norm"]) == pytest.approx(float(before["kl_grad_norm"]), rel=2e-3)
    epochs = [rows(folder / "training_metrics.csv")[-1] for folder in (one, two)]
    for column in ("train_loss", "validation_loss", "validation_token_accuracy"):
        assert float(epochs[1][column]) == pytest.approx(float(epochs[0][column]), rel=1e-4), column
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())


PARENT = """
import sys
from pathlib import Path
from copy_task_stage import CopyTaskParams, train_copy_task
train_copy_task(CopyTaskParams.model_validate_json(sys.argv[2]), Path(sys.argv[1]), stopped_at=int(sys.argv[3]))
"""


def test_a_signal_stops_both_at_one_step_and_the_training_goes_on(tmp_path: Path) -> None:
    plan = plan_loss(LossSettings(components=("ce", "kl"), temperature=2.0))
    # Five steps an epoch, of which the second loses three.
    settings = settings_of(batch_size=4, gpus=2, dropout_rate=0.1, best_metric="validation_loss", max_steps=7)
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    params = CopyTaskParams(loss=plan, training=settings)
    train_copy_task(params, whole)
    arguments = [str(halted), params.model_dump_json()]
    # The second process signals itself alone, at step 6: both stop there.
    code = subprocess.run([sys.executable, "-c", PARENT, *arguments, "6"], check=False).returncode
    assert code == 128 + signal.SIGTERM
    assert [path.name for path in (halted / "checkpoints").glob("step-*")] == ["step-00000006"]
    assert not (halted / "final_model").exists()
    subprocess.run([sys.executable, "-c", PARENT, *arguments, "-1"], check=True)
    assert not (halted / "checkpoints").exists()
    files = [folder / "final_model/model.safetensors" for folder in (whole, halted)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert unmeasured(whole / "step_metrics.csv") == unmeasured(halted / "step_metrics.csv")
