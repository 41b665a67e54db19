"""Keeps the weights of the best validation, and gives them back to the model at the end."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from assertkd.training.checkpoint_store import link_or_copy
from assertkd.training.hooks.best_figure import BestFigure
from assertkd.training.hooks.hook import Figures, Hook, HookState
from assertkd.training.hooks.validation import is_validated

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer

FILE = "best.safetensors"

log = logging.getLogger(__name__)


class BestWeights(Hook):
    """Keeps the weights of the epoch that is best in one figure; of equal ones the first.

    With several processes, the first one's model is the one that is kept.

    Args:
        metric: the figure, as `training_metrics.csv` names it.
        folder: where the weights lie while the training runs; None in processes that write nothing.
    """

    name = "best_weights"

    def __init__(self, metric: str, folder: Path | None) -> None:
        self.best = BestFigure(metric)
        self._file = None if folder is None else folder / FILE
        self._figures: Figures = {}

    def on_epoch_end(self, trainer: "Trainer", figures: Figures) -> None:
        """Save the weights where the epoch is the best so far."""
        if not is_validated(trainer.position.epoch, trainer.settings):
            return
        if self.best.update(trainer.position.epoch, figures):
            self._figures = figures
            if self._file is not None:
                partial = self._file.with_name(f".{FILE}.partial")
                save_file({name: weight.detach() for name, weight in trainer.model.weights().items()}, partial)
                partial.replace(self._file)

    def on_train_end(self, trainer: "Trainer") -> None:
        """Give the model the best weights, and the training their figures."""
        if self.best.epoch is None or self._file is None:
            return
        best_weights = load_file(self._file)
        with torch.no_grad():
            for name, weight in trainer.model.weights().items():
                weight.copy_(best_weights[name])
        trainer.position.figures = self._figures
        log.info("keeping epoch %d: %s %.4g", self.best.epoch, self.best.metric, self.best.value)

    def state(self) -> HookState:
        """Return the best figure, and the file of its weights."""
        files = {} if self.best.epoch is None or self._file is None else {FILE: self._file}
        return HookState({"best": self.best.state(), "figures": self._figures}, files=files)

    def restore(self, state: HookState) -> None:
        """Continue with the weights of the checkpoint."""
        self.best, self._figures = BestFigure(**state.values["best"]), state.values["figures"]
        if self._file is not None and FILE in state.files:
            self._file.unlink(missing_ok=True)
            link_or_copy(state.files[FILE], self._file)
