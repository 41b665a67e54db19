"""The objective of a training: the weights of its parts, their sum over a step, its check, and its values."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from assertkd.errors import UserError
from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.running_mean import RunningMeans
from assertkd.losses.schedule import progress
from assertkd.models.decoding import evaluation_mode
from assertkd.training.loss_term import LossTerm, StepContext, TermValues
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.on_policy_term import ON_POLICY, is_on_policy

log = logging.getLogger(__name__)


class LossWeights:
    """The scheduled weights of a loss plan, divided by running means of values or gradient norms if the plan says so.

    In the share of the steps that learn from the student's own outputs, the components' weights are 0 and that of
    `on_policy` is 1; in all others it is the other way round.

    Args:
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
        self._means = RunningMeans({}) if plan.normalise != "none" else None

    @property
    def follows_values(self) -> bool:
        """Whether the weights depend on the values of earlier steps."""
        return self._means is not None

    @property
    def follows_norms(self) -> bool:
        """Whether they depend on the gradient norms of earlier steps."""
        return self._plan.normalise == "gradient"

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
            divided = self._means.divide(weights)
            if self.follows_norms:
                # Shares of the gradient's norm, whose size stays that of the weights without division, as far as norms
                # are known.
                size = sum(weight * self._means.means.get(name, 0.0) for name, weight in weights.items()) or 1.0
                divided = {name: size * weight for name, weight in divided.items()}
            weights = divided
        return weights | self._fixed | {ON_POLICY: 0.0}

    def update(self, values: Mapping[str, float], norms: Mapping[str, float]) -> None:
        """Take in values and gradient norms, before weight and scale, of one step or of the check before the first."""
        if self._means is None:
            return
        if self.follows_norms:
            values = {component.name: component.scale * norms[component.name] for component in self._plan.components}
        self._means.update({name: values[name] for name in self._names})

    def state(self) -> dict[str, Any] | None:
        """Return the running means as JSON values; None where there are none."""
        return None if self._means is None else self._means.state()

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Continue from what `state` returned."""
        if self._means is not None and state is not None:
            self._means.restore(state)


def accumulate(terms: Sequence[LossTerm], context: StepContext) -> TermValues:
    """Add every term's gradient, and return the values of the step, those of all processes added up.

    A name that no term computed in this step has the value 0.
    """
    zero = torch.zeros((), device=context.device)
    names = [name for term in terms for name in term.names]
    values = TermValues(zero, dict.fromkeys(names, zero), dict.fromkeys(names, zero) if context.with_norms else {})
    for term in terms:
        part = term.accumulate(context)
        if part.squared_norm is not None:
            context = replace(context, squared_norm=context.processes.sum(part.squared_norm))
        values.total = values.total + part.total
        values.raw |= part.raw
        values.squared_norms |= part.squared_norms
        values.columns |= part.columns
        values.tokens = values.tokens if part.tokens is None else part.tokens
        values.equal_risks |= part.equal_risks
    if context.processes.size > 1:
        parts = [values.total, *values.raw.values(), *values.squared_norms.values()]
        values.total, *sums = context.processes.sum(torch.stack([part.float() for part in parts]))
        values.raw = dict(zip(values.raw, sums, strict=False))
        values.squared_norms = dict(zip(values.squared_norms, sums[len(values.raw) :], strict=True))
    return values


@torch.no_grad()
def check_gradients(terms: Sequence[LossTerm], context: StepContext) -> tuple[dict[str, float], dict[str, float]]:
    """Check that every part whose weight is not 0 gives the model a gradient; return values and norms by name.

    A part whose samples all have equal risk has no gradient on this batch; the log says so.

    Args:
        context: the batch to check on, with 1 or 0 for weights; its `backward` and `with_norms` are not used.

    Raises:
        UserError: a part's gradient at the model's outputs is zero or not finite; its name is said.
    """
    with evaluation_mode(context.model), torch.enable_grad():
        values = accumulate(terms, replace(context, backward=None, with_norms=True))
    ids = context.processes.joined([identity for batch in context.micro_batches for identity in batch.ids])
    for term in terms:
        for name in (name for name in term.names if context.weights[name]):
            norm = float(values.squared_norms[name].sqrt())
            if name in values.equal_risks:
                log.info("start: %s has no gradient on the first batch, since its samples all have equal risk", name)
            elif not 0 < norm < float("inf"):
                raise UserError(
                    f"loss component {name}: its gradient at the student's outputs is {norm:g} on the first batch "
                    f"(examples {', '.join(ids[:4])}, …), so it would train nothing",
                    term.no_gradient_remedy,
                )
            else:
                log.info("start: %s is %.4g, its gradient's norm at the outputs %.4g", name, values.raw[name], norm)
    norms = {name: float(square.sqrt()) for name, square in values.squared_norms.items()}
    return {name: float(value) for name, value in values.raw.items()}, norms


class StepValues:
    """The total, the parts' values and the gradient norms of every step of an epoch.

    They come to main memory in one transfer, when a step is logged, a checkpoint is saved or the epoch ends.

    Args:
        names: of the objective's parts.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._unchecked: list[tuple[int, list[str], Tensor]] = []
        self._epoch: list[Tensor] = []

    def add(self, step: int, ids: list[str], values: TermValues, norms: Sequence[Tensor]) -> None:
        """Add a step: the ids of this process's examples, the values of all, and the gradient norms."""
        row = torch.stack([values.total, *(values.raw[name] for name in self._names), *norms])
        self._epoch.append(row)
        self._unchecked.append((step, ids, row))

    def latest(self) -> tuple[float, dict[str, float], list[float]]:
        """Return the last step's total, values by name and gradient norms.

        Raises:
            UserError: a value of a step since the last call is not finite; step, component and examples are named.
        """
        rows = self._checked()
        count = 1 + len(self._names)
        return rows[-1][0], dict(zip(self._names, rows[-1][1:count], strict=True)), rows[-1][count:]

    def epoch_means(self) -> dict[str, float]:
        """Return the means over the steps since the last call: `total` and every part's value.

        Raises:
            UserError: as `latest`.
        """
        self._checked()
        # Of an epoch without a target token, nothing was computed.
        rows = self._epoch or [torch.zeros(1 + len(self._names))]
        means = torch.stack(rows).mean(0).tolist()
        self._epoch.clear()
        return {"total": means[0], **dict(zip(self._names, means[1:], strict=False))}

    def state(self) -> dict[str, Tensor]:
        """Return the epoch's values so far, by name.

        Raises:
            UserError: as `latest`.
        """
        self._checked()
        return {"epoch": torch.stack(self._epoch)} if self._epoch else {}

    def restore(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Continue from what `state` returned."""
        self._epoch = list(state["epoch"].to(device)) if "epoch" in state else []

    def _checked(self) -> list[list[float]]:
        if not self._unchecked:
            return []
        # One transfer from the device for everything that is logged or checked.
        rows: list[list[float]] = torch.stack([row for _, _, row in self._unchecked]).tolist()
        for (step, ids, _), row in zip(self._unchecked, rows, strict=True):
            losses = row[: 1 + len(self._names)]
            if not all(map(math.isfinite, losses)):
                values = zip(self._names, losses[1:], strict=True)
                bad = [name for name, value in values if not math.isfinite(value)] or ["the total"]
                examples = ", ".join(ProcessGroup().joined(ids)[:16])
                raise UserError(
                    f"step {step}: loss component {', '.join(bad)} is not finite on examples {examples}",
                    "Lower training.lr, or look at these examples in the corpus.",
                )
        self._unchecked.clear()
        return rows
