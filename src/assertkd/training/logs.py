"""What a training run tells: progress lines, per-step and per-epoch tables, TensorBoard and the closing files."""

import csv
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from assertkd.runtime.logs import attached
from assertkd.training.parallel.process_group import ProcessGroup


@contextmanager
def logged_to(path: Path, *, continued: bool = False) -> Iterator[None]:
    """Write the package's log to `path` as well while the block runs, every line flushed at once.

    Of several processes the first alone does so.

    Args:
        path: the log; its folder is made if it is missing.
        continued: whether to write on behind what the file holds, or to replace it.
    """
    if not ProcessGroup().is_first:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="a" if continued else "w", encoding="utf-8")
    with attached(handler, logging.getLogger("assertkd")):
        yield


class Table:
    """A CSV file that grows row by row, each row flushed, so that a killed run's file says how far it came.

    A file that is there is continued.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._handle = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._handle, columns)
        if not self._handle.tell():
            self._writer.writeheader()
            self._handle.flush()

    def add(self, row: dict[str, Any]) -> None:
        """Append one row; a column that it lacks stays empty."""
        self._writer.writerow(row)
        self._handle.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()


MEASURED = ("timestamp", "memory_usage_mb", "elapsed_time_seconds", "seconds")
"""Columns of the tables that no two runs have in common; all others are the same for the same seed and settings."""


def step_columns(components: Sequence[str]) -> list[str]:
    """Return the columns of `step_metrics.csv` for a loss of these components."""
    losses = [f"{name}_loss_{kind}" for name in components for kind in ("raw", "weighted")]
    return [
        *("timestamp", "epoch", "step", "mini_batch_idx"),
        *losses,
        *("total_loss_raw", "total_loss_weighted", "grad_norm_total", "grad_norm_encoder", "grad_norm_decoder"),
        *("learning_rate", "temperature", "alpha", "effective_batch_size", "memory_usage_mb", "elapsed_time_seconds"),
        *(f"{name}_weight" for name in components),
        *(f"{name}_grad_norm" for name in components),
        *("ast_invalid_rate", "sample_similarity", "cache_hit_rate", "on_policy_loss"),
    ]


def epoch_columns(components: Sequence[str], text_metrics: Sequence[str]) -> list[str]:
    """Return the columns of `training_metrics.csv` for a loss of these components."""
    return [
        *("epoch", "step", "train_loss", *(f"{name}_loss_raw" for name in components), "learning_rate"),
        *("validation_loss", "validation_token_accuracy", *(f"validation_{name}" for name in text_metrics)),
        *("seconds", "memory_usage_mb"),
    ]


DASHBOARDS = {
    "grad_norm_total": "Gradients/total",
    "grad_norm_encoder": "Gradients/encoder",
    "grad_norm_decoder": "Gradients/decoder",
    "learning_rate": "Hyperparams/learning_rate",
    "temperature": "Hyperparams/temperature",
    "alpha": "Hyperparams/alpha",
    "effective_batch_size": "Training/effective_batch_size",
    "memory_usage_mb": "Training/memory_usage_mb",
    "elapsed_time_seconds": "Training/elapsed_time_seconds",
    "total_loss_raw": "Loss_Raw/total",
    "total_loss_weighted": "Loss/total",
    "ast_invalid_rate": "Training/ast_invalid_rate",
    "sample_similarity": "Training/sample_similarity",
    "cache_hit_rate": "Training/cache_hit_rate",
    "on_policy_loss": "Loss/on_policy",
}
"""Columns of `step_metrics.csv` to TensorBoard tags. Those of a component go to Loss_Raw, Weights, Gradients, and its
weighted value to Loss_Weighted and to Loss, where the components add up to the total."""


def write_step(board: SummaryWriter, components: Sequence[str], row: dict[str, Any]) -> None:
    """Put a row of `step_metrics.csv` on TensorBoard."""
    tags = list(DASHBOARDS.items())
    for name in components:
        tags += [
            (f"{name}_loss_weighted", f"Loss/{name}"),
            (f"{name}_loss_raw", f"Loss_Raw/{name}"),
            (f"{name}_loss_weighted", f"Loss_Weighted/{name}"),
            (f"{name}_weight", f"Weights/{name}"),
            (f"{name}_grad_norm", f"Gradients/{name}"),
        ]
    for column, tag in tags:
        if row.get(column) not in (None, ""):
            board.add_scalar(tag, row[column], row["step"])


def write_epoch(board: SummaryWriter, figures: dict[str, Any]) -> None:
    """Put an epoch's validation figures on TensorBoard, at the step that the epoch ended with."""
    for name, value in figures.items():
        if name.startswith("validation_"):
            board.add_scalar(f"Validation/{name.removeprefix('validation_')}", value, figures["step"])
