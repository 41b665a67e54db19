"""The weighted sum of a plan's token components over one forward pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.target_batch import TargetBatch


@dataclass(frozen=True, slots=True)
class CombinedLoss:
    """A loss and its parts.

    Attributes:
        total: scalar with gradient: the sum of weight times component.
        parts: component name to its value before its weight, detached.
        gradients: the total's gradients at the model's outputs.
        squared_norms: component name to the squared norm of its gradient at the model's outputs, before its weight;
            empty if not asked for.
    """

    total: Tensor
    parts: dict[str, Tensor]
    gradients: list[Tensor]
    squared_norms: dict[str, Tensor]


def combine(
    plan: LossPlan,
    batch: TargetBatch,
    weights: Mapping[str, float],
    tokens: float,
    token_weight: float,
    *,
    norms: bool = False,
) -> CombinedLoss:
    """Return the token components' loss of a micro-batch as its share of the effective batch's mean over tokens.

    The losses of the micro-batches of an optimizer step add up to the mean over the effective batch, however it is cut;
    so do the squared gradient norms. Each component's gradient ends at the model's outputs (logits, hidden states and
    features), where the gradients are summed: the model is passed through once.

    Args:
        plan: the components.
        batch: the target positions of the micro-batch.
        weights: component name to weight at this step; a component of weight 0 is not computed.
        tokens: target tokens of the effective batch, by which sums are divided.
        token_weight: sum of their token weights, by which those of weighted components are divided.
        norms: whether to return the gradient norms.
    """
    outputs = (batch.student_logits, *batch.hidden_states, *batch.features)
    leaves = tuple(output.detach().requires_grad_() for output in outputs)
    end = 1 + len(batch.hidden_states)
    detached_batch = replace(batch, student_logits=leaves[0], hidden_states=leaves[1:end], features=leaves[end:])
    gradients = [torch.zeros_like(leaf) for leaf in leaves]
    value = leaves[0].new_zeros((), dtype=torch.promote_types(leaves[0].dtype, torch.float32))
    parts: dict[str, Tensor] = {}
    squared_norms: dict[str, Tensor] = {}
    for component_plan, component in plan.token_components:
        name, weight = component_plan.name, weights[component_plan.name]
        if not weight:
            continue
        total = component.compute(detached_batch, **component_plan.options)
        part = total / (token_weight if component.weighted else tokens)
        slopes = torch.autograd.grad(part, leaves, allow_unused=True)
        for gradient, slope in zip(gradients, slopes, strict=True):
            if slope is not None:
                gradient.add_(slope, alpha=weight)
                if norms:
                    square = slope.float().square().sum()
                    squared_norms[name] = squared_norms.get(name, 0) + square
        parts[name] = part.detach()
        value = value + weight * parts[name]
    return CombinedLoss(with_gradients(value, outputs, gradients), parts, gradients, squared_norms)


def with_gradients(value: Tensor, outputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return `value`, a scalar, with given gradients at the model's outputs, one of each output's shape."""
    attach: Callable[..., Tensor] = _WithGradients.apply
    return attach(value, *outputs, *gradients)


def squared_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the squared L2 norm of all gradients together, a float32 scalar."""
    return torch.stack([gradient.float().square().sum() for gradient in gradients]).sum()


class _WithGradients(torch.autograd.Function):
    """A value whose gradients at the model's outputs are known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *outputs_and_gradients: Tensor) -> Tensor:
        ctx.save_for_backward(*outputs_and_gradients[len(outputs_and_gradients) // 2 :])
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.saved_tensors
        return None, *(gradient * above[0].to(gradient.dtype) for gradient in gradients), *[None] * len(gradients)
