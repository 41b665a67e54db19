"""A student's whole loss over one effective batch: token components, then text components; and its check at start."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from assertkd.batching.examples import IGNORED, Batch
from assertkd.errors import UserError
from assertkd.losses.combine import Denominators, combine
from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.t5.generation import evaluating
from assertkd.models.t5.model import TargetLogits
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.on_policy_term import OnPolicy
from assertkd.training.terms.text_term import TextRisk

log = logging.getLogger(__name__)

Backward = Callable[[Tensor], None]

ON_POLICY = "on_policy"
"""The name of the divergence along the student's own outputs."""


@dataclass(slots=True)
class StepValues:
    """What one optimizer step's loss is made of, over the whole effective batch.

    Attributes:
        total: the weighted sum, a scalar.
        raw: component name to its value before weight and scale; 0 where its weight is 0.
        squares: component name to its squared gradient norm at the logits, before weight and scale, if asked for.
        examples: examples of the effective batch.
        invalid_rate: share of sampled predictions that are not one statement; None where none were sampled.
        agreeing: text components whose samples all have equal risk.
        on_policy: whether the step learnt from the student's own outputs; then the total is the divergence along these,
            and no component was computed.
    """

    total: Tensor
    raw: dict[str, Tensor]
    squares: dict[str, Tensor]
    examples: int
    invalid_rate: float | None = None
    agreeing: frozenset[str] = field(default_factory=frozenset)
    on_policy: bool = False


class Objective:
    """The loss that a plan describes.

    Args:
        plan: the components.
        text: the text components' machinery; None where the plan has none.
        processes: those among which the micro-batches of an effective batch are shared out.
        on_policy: takes the place of the components in its share of the steps; None where all steps are theirs.
    """

    def __init__(
        self,
        plan: LossPlan,
        text: TextRisk | None,
        processes: ProcessGroup | None = None,
        on_policy: OnPolicy | None = None,
    ) -> None:
        self.plan = plan
        self.text = text
        self.on_policy = on_policy
        self.processes = processes or ProcessGroup()

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
        """Add the loss's gradient over one effective batch: the components', or that of an on-policy step.

        With several processes each adds its own micro-batches' part of the gradient; the values are those of all.

        Args:
            model: the student.
            group: this process's micro-batches, which go to its device one by one.
            weights: component name to weight at this step.
            step: optimizer step; decides what is sampled, and whether the step is on-policy.
            backward: takes a loss and adds its gradient; None to compute values alone.
            norms: whether to return gradient norms.
        """
        if self.on_policy is not None and self.on_policy.takes(step):
            return self._own_outputs(self.on_policy, model, group, step, backward, norms=norms)
        return self._components(model, group, weights, step, backward, norms=norms)

    def _components(
        self,
        model: TargetLogits,
        group: Sequence[Batch],
        weights: Mapping[str, float],
        step: int,
        backward: Backward | None,
        *,
        norms: bool,
    ) -> StepValues:
        device = model.model.device
        zero = torch.zeros((), device=device)
        critical = self.plan.critical_token_weight
        denominators, examples = self._counted(group)
        names = [one.name for one in self.plan.components]
        values = StepValues(zero, dict.fromkeys(names, zero), dict.fromkeys(names, zero) if norms else {}, examples)
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
                    values.squares[name] = values.squares[name] + square
        text = self.text.accumulate(model, group, weights, step, backward, norms=norms) if self.text else None
        if text is not None:
            values.total = values.total + text.total
            values.raw |= text.raw
            values.squares |= text.squares
            values.invalid_rate = text.invalid_rate
            values.agreeing = text.agreeing
        return self._summed(values)

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
            values = self._components(model, group, weights, 0, None, norms=True)
        ids = ", ".join(self.ids(group)[:4])
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
        if self.on_policy is not None:
            self._check_on_policy(self.on_policy, model, group)
        return {name: float(value) for name, value in values.raw.items()}

    def _check_on_policy(self, on_policy: OnPolicy, model: TargetLogits, group: Sequence[Batch]) -> None:
        with evaluating(model.model):
            values = self._own_outputs(on_policy, model, group, 0, None, norms=True)
        norm = float(values.squares[ON_POLICY].sqrt())
        if not 0 < norm < float("inf"):
            raise UserError(
                f"{ON_POLICY}: its gradient at the student's logits is {norm:g} on the first batch",
                "Start from a student that differs from the teacher, or leave on_policy out.",
            )
        log.info("start: %s is %.4g, its gradient's norm at the logits %.4g", ON_POLICY, values.total, norm)

    def _own_outputs(
        self,
        on_policy: OnPolicy,
        model: TargetLogits,
        group: Sequence[Batch],
        step: int,
        backward: Backward | None,
        *,
        norms: bool,
    ) -> StepValues:
        found = on_policy.accumulate(model, group, step, backward, norms=norms)
        raw = {one.name: torch.zeros_like(found.loss) for one in self.plan.components}
        squares = {ON_POLICY: found.square} if norms else {}
        _, examples = self._counted(group)
        return self._summed(StepValues(found.loss, raw, squares, examples, on_policy=True))

    def ids(self, group: Sequence[Batch]) -> list[str]:
        """Return the ids of the effective batch's examples."""
        return [identity for ids in self.processes.gathered([i for b in group for i in b.ids]) for identity in ids]

    def _counted(self, group: Sequence[Batch]) -> tuple[Denominators, int]:
        """Return what sums over the effective batch are divided by, and the number of its examples."""
        critical = self.plan.critical_token_weight
        tokens, marked, examples = self.processes.sums(
            sum(batch.tokens for batch in group),
            0 if critical is None else sum(int(batch.critical.sum()) for batch in group),
            sum(len(batch.ids) for batch in group),
        )
        weight = tokens if critical is None else tokens + (critical - 1.0) * marked
        return Denominators(float(tokens), float(weight)), int(examples)

    def _summed(self, values: StepValues) -> StepValues:
        """Return the values with those of all processes added up."""
        if self.processes.size == 1:
            return values
        raw, squares = list(values.raw), list(values.squares)
        parts = [values.total, *values.raw.values(), *values.squares.values()]
        total, *rest = self.processes.sum(torch.stack([part.float() for part in parts]))
        values.total = total
        values.raw = dict(zip(raw, rest[: len(raw)], strict=True))
        values.squares = dict(zip(squares, rest[len(raw) :], strict=True))
        return values


def _token_weights(batch: Batch, critical: float) -> Tensor:
    return 1.0 + (critical - 1.0) * batch.critical.float()
