"""Which epoch's weights a training keeps, and when it stops because no epoch gets better."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assertkd.errors import UserError

LOWER_IS_BETTER = frozenset({"validation_loss"})
"""Of the validation figures; of all others, more is better."""


@dataclass(slots=True)
class Selection:
    """The best validation so far.

    Attributes:
        metric: the figure that is compared, as `training_metrics.csv` names it; None to keep the last epoch.
        patience: validations without a better one after which training stops; None for never.
        epoch: epoch of the best validation; None before the first.
        value: its figure.
        without_better: validations since.
    """

    metric: str | None
    patience: int | None
    epoch: int | None = None
    value: float | None = None
    without_better: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether training is to stop."""
        return self.patience is not None and self.without_better >= self.patience

    def judge(self, epoch: int, figures: Mapping[str, float]) -> bool:
        """Take in the figures of a validated epoch; return whether it is the best so far (a tie is not).

        Raises:
            UserError: the metric is not among the figures.
        """
        if self.metric is None:
            return False
        if self.metric not in figures:
            known = ", ".join(name for name in figures if name.startswith("validation_"))
            raise UserError(
                f"training.best_metric: {self.metric} is not measured while training; {known} are",
                "Name one of these; text metrics need training.enhanced_metrics: true.",
            )
        value = figures[self.metric]
        if self.value is None or (value < self.value if self.metric in LOWER_IS_BETTER else value > self.value):
            self.epoch, self.value, self.without_better = epoch, value, 0
            return True
        self.without_better += 1
        return False

    def state(self) -> dict[str, Any]:
        """Return what `resumed` takes, as JSON values."""
        return asdict(self)

    @classmethod
    def resumed(cls, state: Mapping[str, Any]) -> "Selection":
        """Return the selection that had this state."""
        return cls(**state)
