"""The weight of every part of the objective at each optimizer step."""

from collections.abc import Mapping
from typing import Any

from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.running_mean import RunningMeans
from assertkd.losses.schedule import progress
from assertkd.training.terms.on_policy_term import ON_POLICY, is_on_policy


class LossWeights:
    """The scheduled weights of a loss plan, divided by running means where the plan says so.

    In the share of the steps that learn from the student's own outputs, the components' weights are 0 and that of
    `on_policy` is 1; in all others it is the other way round.

    Args:
        plan: components and their schedule.
        fixed_weights: name to weight of the parts that are no components; they count as components do.
        steps: optimizer steps of the whole training.
        on_policy_fraction: share of on-policy steps, 0 to 1.
        seed: of the choice of these steps.
    """

    def __init__(
        self, plan: LossPlan, fixed_weights: Mapping[str, float], steps: int, on_policy_fraction: float, seed: int
    ) -> None:
        self._plan, self._fixed, self._steps = plan, dict(fixed_weights), steps
        self._fraction, self._seed = on_policy_fraction, seed
        self._names = [component.name for component in plan.components]
        self._means = RunningMeans({}) if plan.running_mean else None

    @property
    def follows_values(self) -> bool:
        """Whether the weights depend on the values of earlier steps."""
        return self._means is not None

    def for_check(self) -> dict[str, float]:
        """Return 1 for every part that has a weight above 0 in some step, and 0 for all others."""
        weights = {component.name: float(component.trains) for component in self._plan.components}
        fixed = {name: float(weight > 0) for name, weight in self._fixed.items()}
        return weights | fixed | {ON_POLICY: float(self._fraction > 0)}

    def at(self, step: int) -> dict[str, float]:
        """Return name to weight at an optimizer step, counted from 0."""
        if self._fraction and is_on_policy(step, self._fraction, self._seed):
            return dict.fromkeys([*self._names, *self._fixed], 0.0) | {ON_POLICY: 1.0}
        weights = self._plan.weights(progress(step, self._steps))
        if self._means is not None:
            weights = self._means.divide(weights)
        return weights | self._fixed | {ON_POLICY: 0.0}

    def update(self, values: Mapping[str, float]) -> None:
        """Take in the components' values of one step, or of the check before the first."""
        if self._means is not None:
            self._means.update({name: values[name] for name in self._names})

    def state(self) -> dict[str, Any] | None:
        """Return the running means as JSON values; None where there are none."""
        return None if self._means is None else self._means.state()

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Continue from what `state` returned."""
        if self._means is not None and state is not None:
            self._means.restore(state)
