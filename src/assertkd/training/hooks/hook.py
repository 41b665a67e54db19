"""What can be added around the steps of a training without the loop knowing of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from assertkd.signals import StopRequested

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer

Figures = dict[str, float]
"""Figures of an epoch by name, as `training_metrics.csv` has them."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One logged optimizer step, over the whole effective batch.

    Attributes:
        epoch: from 1.
        step: number of the optimizer step, from 0.
        epoch_step: its number within the epoch, from 0.
        total: the weighted loss.
        raw: part of the objective to its value before weight and scale.
        part_norms: part of the objective to its gradient norm at the model's outputs.
        gradient_norms: `total` and every parameter group to the norm of its gradient, before clipping.
        columns: what the loss terms add.
        learning_rate: before any scale.
        elapsed: seconds of training so far, those before an interruption included.
        memory_mb: memory in use.
        peak_memory_mb: most that was in use so far.
    """

    epoch: int
    step: int
    epoch_step: int
    examples: int
    total: float
    raw: Mapping[str, float]
    weights: Mapping[str, float]
    part_norms: Mapping[str, float]
    gradient_norms: Mapping[str, float]
    columns: Mapping[str, Any]
    learning_rate: float
    elapsed: float
    memory_mb: float
    peak_memory_mb: float


@dataclass(frozen=True, slots=True)
class HookState:
    """What a hook needs to continue: JSON values, tensors, and files, which may be replaced later but not changed."""

    values: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


class Hook:
    """Does nothing; a hook overrides what it needs. All processes of a training have the same hooks, in one order.

    Attributes:
        name: its key in a checkpoint; different for every hook of a training.
    """

    name: ClassVar[str]

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Called before an epoch's first step, and before the next one where a training continues."""

    def on_step_end(self, trainer: "Trainer", record: StepRecord | None) -> None:
        """Called after every optimizer step; `record` is None for steps that are not logged."""

    def measure(self, trainer: "Trainer") -> Figures:
        """Return figures of the epoch that has ended. A signal may interrupt it; it is then done again."""
        return {}

    def on_epoch_end(self, trainer: "Trainer", figures: Figures) -> None:
        """Called with all figures of an epoch."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """Called when no epoch is left, before the model is saved."""

    def on_stop(self, trainer: "Trainer", stop: StopRequested) -> None:
        """Called when a signal ends the training early."""

    def on_error(self, trainer: "Trainer", error: Exception) -> None:
        """Called when an exception ends the training."""

    def state(self) -> HookState:
        """Return what `restore` takes."""
        return HookState()

    def restore(self, state: HookState) -> None:
        """Continue from what `state` returned."""
