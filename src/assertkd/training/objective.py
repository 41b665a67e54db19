"""The objective of a training: the sum of its loss terms over a step, and its check before the first step."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch

from assertkd.errors import UserError
from assertkd.models.decoding import evaluation_mode
from assertkd.training.loss_term import LossTerm, StepContext, TermValues

log = logging.getLogger(__name__)


def accumulate(terms: Sequence[LossTerm], context: StepContext) -> TermValues:
    """Add every term's gradient, and return the values of the step, those of all processes added up.

    A name that no term computed in this step has the value 0.
    """
    zero = torch.zeros((), device=context.device)
    names = [name for term in terms for name in term.names]
    values = TermValues(zero, dict.fromkeys(names, zero), dict.fromkeys(names, zero) if context.with_norms else {})
    for term in terms:
        part = term.accumulate(context)
        values.total = values.total + part.total
        values.raw |= part.raw
        values.squared_norms |= part.squared_norms
        values.columns |= part.columns
        values.equal_risks |= part.equal_risks
    return _summed(values, context)


@torch.no_grad()
def check_gradients(terms: Sequence[LossTerm], context: StepContext) -> dict[str, float]:
    """Check that every part whose weight is not 0 gives the model a gradient; return name to value.

    A part whose samples all have equal risk has no gradient on this batch; the log says so.

    Args:
        terms: of the objective.
        context: the batch to check on, with 1 or 0 for weights; its `backward` and `with_norms` are not used.

    Raises:
        UserError: a part's gradient at the model's outputs is zero or not finite; its name is said.
    """
    with evaluation_mode(context.model), torch.enable_grad():
        values = accumulate(terms, replace(context, backward=None, with_norms=True))
    for term in terms:
        for name in (name for name in term.names if context.weights[name]):
            norm = float(values.squared_norms[name].sqrt())
            if name in values.equal_risks:
                log.info("start: %s has no gradient on the first batch, since its samples all have equal risk", name)
            elif not 0 < norm < float("inf"):
                raise UserError(
                    f"loss component {name}: its gradient at the student's logits is {norm:g} on the first batch "
                    f"(examples {', '.join(context.ids()[:4])}, …), so it would train nothing",
                    term.no_gradient_remedy,
                )
            else:
                log.info("start: %s is %.4g, its gradient's norm at the logits %.4g", name, values.raw[name], norm)
    return {name: float(value) for name, value in values.raw.items()}


def _summed(values: TermValues, context: StepContext) -> TermValues:
    """Return the values with the shares of all processes added up."""
    if context.processes.size == 1:
        return values
    parts = [values.total, *values.raw.values(), *values.squared_norms.values()]
    total, *sums = context.processes.sum(torch.stack([part.float() for part in parts]))
    raw, squared_norms = sums[: len(values.raw)], sums[len(values.raw) :]
    return replace(
        values,
        total=total,
        raw=dict(zip(values.raw, raw, strict=True)),
        squared_norms=dict(zip(values.squared_norms, squared_norms, strict=True)),
    )
