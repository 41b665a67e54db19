"""The weighted sum of a plan's token components over one forward pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.target_batch import TargetBatch


@dataclass(frozen=True, slots=True)
class Denominators:
    """What the sums over a micro-batch are divided by: the same for all micro-batches of an optimizer step.

    Attributes:
        tokens: target tokens of the effective batch.
        weight: their token weights' sum.
    """

    tokens: float
    weight: float


@dataclass(frozen=True, slots=True)
class CombinedLoss:
    """A loss and its parts.

    Attributes:
        total: scalar with gradient: the sum of weight times component.
        parts: component name to its value before its weight, detached.
        squares: component name to its squared gradient norm at the logits, before its weight; empty if not asked for.
    """

    total: Tensor
    parts: dict[str, Tensor]
    squares: dict[str, Tensor]


def combine(
    plan: LossPlan, batch: TargetBatch, weights: Mapping[str, float], denominators: Denominators, *, norms: bool = False
) -> CombinedLoss:
    """Return the token components' loss of a micro-batch as its share of the effective batch's mean over tokens.

    The losses of the micro-batches of an optimizer step add up to the mean over the effective batch, however it is cut;
    so do the squared gradient norms. Each component's gradient ends at the logits, where they are summed; the model is
    passed through once.

    Args:
        plan: the components.
        batch: the micro-batch's target positions.
        weights: component name to weight at this step; a component of weight 0 is not computed.
        denominators: of the effective batch.
        norms: whether to return the gradient norms.
    """
    leaf = batch.student_logits.detach().requires_grad_()
    seen = replace(batch, student_logits=leaf)
    gradient = torch.zeros_like(leaf)
    value = leaf.new_zeros((), dtype=torch.promote_types(leaf.dtype, torch.float32))
    parts: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    for one, component in plan.token_components:
        weight = weights[one.name]
        if not weight:
            continue
        part = component(seen, one.options) / (denominators.weight if component.weighted else denominators.tokens)
        (slope,) = torch.autograd.grad(part, leaf)
        gradient.add_(slope, alpha=weight)
        if norms:
            squares[one.name] = slope.float().square().sum()
        parts[one.name] = part.detach()
        value = value + weight * parts[one.name]
    attach: Callable[..., Tensor] = _Attached.apply
    return CombinedLoss(attach(batch.student_logits, value, gradient), parts, squares)


class _Attached(torch.autograd.Function):
    """A value whose gradient at the logits is known already."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * above[0].to(gradient.dtype), None, None
