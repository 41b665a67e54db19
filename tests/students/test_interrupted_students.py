"""A student that draws its epochs, fills its batches by tokens and learns from its own outputs goes on as it was."""

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Taught

from assertkd.training.tables import MEASURED
from interrupted import Killed, kill_at

VARIANT = {
    "targets": "both",
    "unlabelled": "teacher",
    "on_policy": {"fraction": 0.5},
    "training": {
        "epochs": 3,
        "epoch_sampling": True,
        "max_train_samples": 12,
        "token_budget": 480,
        "dropout_rate": 0.1,
        "checkpoint_every": 2,
    },
}


def figures(folder: Path) -> list[dict[str, str]]:
    with (folder / "step_metrics.csv").open(newline="") as handle:
        return [{name: value for name, value in row.items() if name not in MEASURED} for row in csv.DictReader(handle)]


def test_it_ends_as_if_it_had_never_been_interrupted(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = taught.distil(VARIANT, tmp_path / "whole")
    steps = figures(whole)
    assert {bool(row["on_policy_loss"]) for row in steps} == {True, False}
    kill_at({1, len(steps) // 2, len(steps) - 1}, monkeypatch)
    for _ in range(3):
        with pytest.raises(Killed):
            taught.distil(VARIANT, tmp_path / "cut")
        # What another process would find: random numbers from elsewhere.
        torch.rand(17)
    cut = taught.distil(VARIANT, tmp_path / "cut")
    assert figures(cut) == steps
    weights = [load_file(folder / "final_model/model.safetensors") for folder in (whole, cut)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
