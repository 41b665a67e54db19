"""The weighted sum of a plan's components over one forward pass."""

from dataclasses import dataclass

from torch import Tensor

from assertkd.losses.batch import TargetBatch
from assertkd.losses.plan import LossPlan
from assertkd.losses.registry import COMPONENTS


@dataclass(frozen=True, slots=True)
class CombinedLoss:
    """A loss and its parts.

    Attributes:
        total: scalar with gradient: the sum of weight times component.
        parts: component name to its value before its weight, detached.
    """

    total: Tensor
    parts: dict[str, Tensor]


def combine(plan: LossPlan, batch: TargetBatch, weights: dict[str, float], tokens: int) -> CombinedLoss:
    """Return the loss of a micro-batch as its share of the effective batch's mean over tokens.

    The sums of the micro-batches of an optimizer step, each divided by the tokens of all of them, add up to the mean
    over the effective batch, however it is cut.

    Args:
        plan: the components.
        batch: the micro-batch's target positions.
        weights: component name to weight at this step; a component of weight 0 is not computed.
        tokens: target tokens of the whole effective batch.
    """
    total = batch.student_logits.new_zeros(())
    parts: dict[str, Tensor] = {}
    for component in plan.components:
        if weights[component.name]:
            value = COMPONENTS[component.name](batch, component.options) / tokens
            parts[component.name] = value.detach()
            total = total + weights[component.name] * value
    return CombinedLoss(total, parts)
