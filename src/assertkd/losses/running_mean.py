"""Running means of loss components, by which they are divided so that weights are shares."""

from collections.abc import Mapping
from typing import Any

MOMENTUM = 0.99
"""How much of the old mean stays in a step, once 100 values have been taken; until then the mean is a plain one."""
SMALLEST = 1e-8
"""A mean below this divides by this."""


class RunningMeans:
    """The running mean of every component's value.

    Args:
        first: component name to its value before training; a component that is not computed yet has 0.
    """

    def __init__(self, first: Mapping[str, float]) -> None:
        self.means = {name: value for name, value in first.items() if value}
        self.counts = dict.fromkeys(self.means, 1)

    def update(self, values: Mapping[str, float]) -> None:
        """Take in the values of one step; a value of 0 stands for a component that was not computed."""
        for name, value in values.items():
            if not value:
                continue
            count = self.counts.get(name, 0)
            kept = min(count / (count + 1), MOMENTUM)
            self.means[name] = kept * self.means.get(name, 0.0) + (1.0 - kept) * value
            self.counts[name] = count + 1

    def state(self) -> dict[str, Any]:
        """Return means and counts, as JSON values."""
        return {"means": dict(self.means), "counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.means, self.counts = dict(state["means"]), dict(state["counts"])

    def divide(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return the weights divided by their components' means; a component without one keeps its weight."""
        return {name: weight / max(abs(self.means.get(name, 1.0)), SMALLEST) for name, weight in weights.items()}
