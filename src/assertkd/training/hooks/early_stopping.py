"""Stops a training when no epoch gets better."""

import logging
from typing import TYPE_CHECKING

from assertkd.training.hooks.best_figure import BestFigure
from assertkd.training.hooks.hook import Figures, Hook, HookState
from assertkd.training.hooks.validation import is_validated

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer

log = logging.getLogger(__name__)


class EarlyStopping(Hook):
    """Asks for an end after `patience` validations without a better figure.

    Args:
        metric: the figure, as `training_metrics.csv` names it.
        patience: validations, at least 1.
    """

    name = "early_stopping"

    def __init__(self, metric: str, patience: int) -> None:
        self._best, self._patience = BestFigure(metric), patience

    def on_epoch_end(self, trainer: "Trainer", figures: Figures) -> None:
        """Compare a validated epoch with the best so far."""
        if not is_validated(trainer.position.epoch, trainer.settings):
            return
        self._best.update(trainer.position.epoch, figures)
        if self._best.validations_since >= self._patience:
            trainer.position.is_stopped = True
            log.info(
                "stopped early: %d validations since epoch %s without a better %s",
                self._best.validations_since,
                self._best.epoch,
                self._best.metric,
            )

    def state(self) -> HookState:
        """Return the best figure."""
        return HookState(self._best.state())

    def restore(self, state: HookState) -> None:
        """Continue from the checkpoint's best figure."""
        self._best = BestFigure(**state.values)
