"""The best validation of a training so far, by one figure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assertkd.errors import UserError

LOWER_IS_BETTER = frozenset({"validation_loss"})
"""Of the validation figures; of all others, more is better."""


@dataclass(slots=True)
class BestFigure:
    """The best validation so far.

    Attributes:
        metric: the figure that is compared, as `training_metrics.csv` names it.
        epoch: epoch of the best validation; None before the first.
        value: its figure.
        validations_since: validations after it.
    """

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

    def state(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return asdict(self)
