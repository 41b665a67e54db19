"""A student's whole loss over one effective batch: token components, then text components; and its check at start."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from assertkd.errors import UserError
from assertkd.losses.batch import TargetBatch
from assertkd.losses.combine import Denominators, combine
from assertkd.losses.plan import LossPlan
from assertkd.models.generation import evaluating
from assertkd.models.seq2seq import TargetLogits
from assertkd.training.batches import IGNORED, Batch
from assertkd.training.text_risk import TextRisk

log = logging.getLogger(__name__)

Backward = Callable[[Tensor], None]


@dataclass(slots=True)
class StepValues:
    """What one optimizer step's loss is made of.

    Attributes:
        total: the weighted sum, a scalar.
        raw: component name to its value before weight and scale; 0 where its weight is 0.
        squares: component name to its squared gradient norm at the logits, before weight and scale, if asked for.
        invalid_rate: share of sampled predictions that are not one statement; None where none were sampled.
        agreeing: text components whose samples all have equal risk.
    """

    total: Tensor
    raw: dict[str, Tensor]
    squares: dict[str, Tensor]
    invalid_rate: float | None = None
    agreeing: frozenset[str] = field(default_factory=frozenset)


class Objective:
    """The loss that a plan describes.

    Args:
        plan: the components.
        text: the text components' machinery; None where the plan has none.
    """

    def __init__(self, plan: LossPlan, text: TextRisk | None) -> None:
        self.plan = plan
        self.text = text

    def accumulate(
        self,
        model: TargetLogits,
        group: Sequence[Batch],
        weights: Mapping[str, float],
        step: int,
        backward: Backward | None,
        *,
        norms: bool,
    ) -> StepValues:
        """Add the loss's gradient over one effective batch, micro-batch by micro-batch.

        Args:
            model: the student.
            group: the micro-batches, which go to its device one by one.
            weights: component name to weight at this step.
            step: optimizer step, for the samples of text components.
            backward: takes a loss and adds its gradient; None to compute values alone.
            norms: whether to return gradient norms.
        """
        device = model.model.device
        zero = torch.zeros((), device=device)
        values = StepValues(zero, {one.name: zero for one in self.plan.components}, {})
        critical = self.plan.critical_token_weight
        denominators = _denominators(group, critical)
        if any(weights[one.name] for one, _ in self.plan.token_components):
            for batch in (batch.to(device) for batch in group):
                is_target = batch.labels != IGNORED
                logits = model(batch.input_ids, batch.attention_mask, batch.decoder_input_ids, is_target)
                target = TargetBatch(
                    logits,
                    batch.labels[is_target],
                    batch.teacher,
                    self.plan.temperature or 1.0,
                    None if critical is None else _token_weights(batch, critical)[is_target],
                )
                loss = combine(self.plan, target, weights, denominators, norms=norms)
                if backward is not None:
                    backward(loss.total)
                values.total = values.total + loss.total.detach()
                for name, part in loss.parts.items():
                    values.raw[name] = values.raw[name] + part
                for name, square in loss.squares.items():
                    values.squares[name] = values.squares.get(name, zero) + square
        text = self.text.accumulate(model, group, weights, step, backward, norms=norms) if self.text else None
        if text is not None:
            values.total = values.total + text.total
            values.raw |= text.raw
            values.squares |= text.squares
            values.invalid_rate = text.invalid_rate
            values.agreeing = text.agreeing
        return values

    @torch.no_grad()
    def check(self, model: TargetLogits, group: Sequence[Batch]) -> dict[str, float]:
        """Check on one batch that every component that is to train gives the student a gradient.

        A text component whose samples all have equal risk has none on this batch; the log says so.

        Returns:
            Component name to its value before weight and scale.

        Raises:
            UserError: naming a component whose gradient at the student's logits is zero or not finite.
        """
        weights = {one.name: float(one.trains) for one in self.plan.components}
        with evaluating(model.model), torch.enable_grad():
            values = self.accumulate(model, group, weights, 0, None, norms=True)
        ids = ", ".join(identity for batch in group for identity in batch.ids[:4])
        for name in (name for name, weight in weights.items() if weight):
            norm = float(values.squares[name].sqrt())
            if name in values.agreeing:
                log.info("start: %s has no gradient on the first batch, since its samples all have equal risk", name)
            elif not 0 < norm < float("inf"):
                raise UserError(
                    f"loss component {name}: its gradient at the student's logits is {norm:g} on the first batch "
                    f"(examples {ids}, …), so it would train nothing",
                    "Leave the component out, or look at these examples and at the teacher's logits for them.",
                )
            else:
                log.info("start: %s is %.4g, its gradient's norm at the logits %.4g", name, values.raw[name], norm)
        return {name: float(value) for name, value in values.raw.items()}


def _denominators(group: Sequence[Batch], critical: float | None) -> Denominators:
    tokens = float(sum(batch.tokens for batch in group))
    if critical is None:
        return Denominators(tokens, tokens)
    marked = sum(int(batch.critical.sum()) for batch in group)
    return Denominators(tokens, tokens + (critical - 1.0) * marked)


def _token_weights(batch: Batch, critical: float) -> Tensor:
    return 1.0 + (critical - 1.0) * batch.critical.float()
