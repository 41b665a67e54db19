"""The tables of a training and their columns: `step_metrics.csv`, `training_metrics.csv`, and TensorBoard's tags."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

MEASURED = ("timestamp", "memory_usage_mb", "peak_memory_mb", "elapsed_time_seconds", "seconds")
"""Columns of the tables that differ between trainings; all others are the same for the same seed and settings."""

TAGS_BY_ENDING = {
    "_loss_raw": ("Loss_Raw",),
    "_loss_weighted": ("Loss", "Loss_Weighted"),
    "_weight": ("Weights",),
    "_grad_norm": ("Gradients",),
    "_loss": ("Loss",),
}
"""Groups of TensorBoard tags for the columns of the objective's parts, by the ending behind the part's name."""


class Table:
    """A CSV file that grows row by row, each row flushed, so that it tells how far a killed training came.

    A file that exists is continued.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._handle = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._handle, columns)
        if not self._handle.tell():
            self._writer.writeheader()
            self._handle.flush()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row; a column that it lacks stays empty."""
        self._writer.writerow(row)
        self._handle.flush()

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


def step_columns(components: Sequence[str], groups: Sequence[str], further: Iterable[str]) -> list[str]:
    """Return the columns of `step_metrics.csv`, `total` as the first of the gradient norms' groups, `further` last."""
    losses = [f"{name}_loss_{kind}" for name in components for kind in ("raw", "weighted")]
    norms = [f"grad_norm_{name}" for name in sorted(groups, key=lambda name: name != "total")]
    return [
        *("timestamp", "epoch", "step", "mini_batch_idx"),
        *losses,
        *("total_loss_raw", "total_loss_weighted", *norms),
        *("learning_rate", "temperature", "alpha", "effective_batch_size", "memory_usage_mb", "elapsed_time_seconds"),
        *(f"{name}_weight" for name in components),
        *(f"{name}_grad_norm" for name in components),
        "peak_memory_mb",
        *further,
    ]


def epoch_columns(components: Sequence[str], text_metrics: Sequence[str]) -> list[str]:
    """Return the columns of `training_metrics.csv` for a loss of these components."""
    return [
        *("epoch", "step", "train_loss", *(f"{name}_loss_raw" for name in components), "learning_rate"),
        *("validation_loss", "validation_token_accuracy", *(f"validation_{name}" for name in text_metrics)),
        *("seconds", "memory_usage_mb", "peak_memory_mb"),
    ]


def step_tags(column: str) -> list[str]:
    """Return the TensorBoard tags of a column of `step_metrics.csv`; none for those that say which step it is.

    The weighted components stand under Loss too, where they add up to the total.
    """
    if column in ("timestamp", "epoch", "step", "mini_batch_idx"):
        return []
    if column == "total_loss_weighted":
        return ["Loss/total"]
    if column.startswith("grad_norm_"):
        return [f"Gradients/{column.removeprefix('grad_norm_')}"]
    for ending, groups in TAGS_BY_ENDING.items():
        if column.endswith(ending):
            return [f"{group}/{column.removesuffix(ending)}" for group in groups]
    return [f"{'Hyperparams' if column in ('learning_rate', 'temperature', 'alpha') else 'Training'}/{column}"]


def write_scalars(board: SummaryWriter, row: Mapping[str, Any]) -> None:
    """Put a row of `step_metrics.csv` on TensorBoard; empty columns are left out."""
    for column, value in row.items():
        if value not in (None, ""):
            for tag in step_tags(column):
                board.add_scalar(tag, value, row["step"])
