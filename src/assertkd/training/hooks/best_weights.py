"""Keeps the weights of the best validation, and stops a training when no epoch gets better."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from assertkd.errors import UserError
from assertkd.training.checkpoint_store import link_or_copy
from assertkd.training.hooks.hook import Figures, Hook, HookState
from assertkd.training.hooks.validation import is_validated

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer

FILE = "best.safetensors"

LOWER_IS_BETTER = frozenset({"validation_loss"})
"""Of the validation figures; of all others, more is better."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BestFigure:
    """The best validation so far, by the figure `metric`; `epoch` and `value` are None before the first."""

    metric: str
    epoch: int | None = None
    value: float | None = None
    validations_since: int = 0

    def update(self, epoch: int, figures: Mapping[str, float]) -> bool:
        """Compare the figures of a validated epoch; return whether it is the best so far (a tie is not).

        Raises:
            UserError: the metric is not among the figures.
        """
        if self.metric not in figures:
            measured = ", ".join(name for name in figures if name.startswith("validation_"))
            raise UserError(
                f"training.best_metric: {self.metric} is not measured while training; {measured} are",
                "Name one of these; text metrics need training.enhanced_metrics: true.",
            )
        value = figures[self.metric]
        if self.value is None or (value < self.value if self.metric in LOWER_IS_BETTER else value > self.value):
            self.epoch, self.value, self.validations_since = epoch, value, 0
            return True
        self.validations_since += 1
        return False


class BestWeights(Hook):
    """Keeps the weights of the epoch that is best in one figure; of equal ones the first.

    With several processes, the first one's model is the one that is kept.

    Args:
        metric: the figure, as `training_metrics.csv` names it.
        patience: validations without a better figure after which the training ends; None for no such end.
        folder: where the weights lie while the training runs; None in processes that write nothing.
    """

    name = "best_weights"

    def __init__(self, metric: str, patience: int | None, folder: Path | None) -> None:
        self.best, self._patience = BestFigure(metric), patience
        self._file = None if folder is None else folder / FILE
        self._figures: Figures = {}

    def on_epoch_end(self, trainer: "Trainer", figures: Figures) -> None:
        """Save the weights where the epoch is the best so far; ask for an end where none has been for too long."""
        if not is_validated(trainer):
            return
        if self.best.update(trainer.position.epoch, figures):
            self._figures = figures
            if self._file is not None:
                partial = self._file.with_name(f".{FILE}.partial")
                save_file({name: weight.detach() for name, weight in trainer.model.trained_weights().items()}, partial)
                partial.replace(self._file)
        elif self._patience is not None and self.best.validations_since >= self._patience:
            trainer.position.is_stopped = True
            message = "stopped early: %d validations since epoch %s without a better %s"
            log.info(message, self.best.validations_since, self.best.epoch, self.best.metric)

    def on_train_end(self, trainer: "Trainer") -> None:
        """Give the model the best weights, and the training their figures."""
        if self.best.epoch is None or self._file is None:
            return
        best_weights = load_file(self._file)
        with torch.no_grad():
            for name, weight in trainer.model.trained_weights().items():
                weight.copy_(best_weights[name])
        trainer.position.figures = self._figures
        log.info("keeping epoch %d: %s %.4g", self.best.epoch, self.best.metric, self.best.value)

    def state(self) -> HookState:
        """Return the best figure, and the file of its weights."""
        files = {} if self.best.epoch is None or self._file is None else {FILE: self._file}
        return HookState({"best": asdict(self.best), "figures": self._figures}, files=files)

    def restore(self, state: HookState) -> None:
        """Continue with the weights of the checkpoint."""
        self.best, self._figures = BestFigure(**state.values["best"]), state.values["figures"]
        if self._file is not None and FILE in state.files:
            self._file.unlink(missing_ok=True)
            link_or_copy(state.files[FILE], self._file)
