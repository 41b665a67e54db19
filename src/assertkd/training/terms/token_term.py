"""Loss components over target tokens, and the loss on the input's: one teacher-forced pass for all of them."""

import torch
from torch import nn

from assertkd.losses.combine import combine, squared_norm
from assertkd.losses.loss_plan import LossPlan
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.distillable import IGNORED
from assertkd.training.loss_term import LossTerm, StepContext, TermValues
from assertkd.training.terms.features import Features
from assertkd.training.terms.input_tokens import INPUT, input_token_count, read_with_inputs


class TokenTerm(LossTerm):
    """The token components of a loss plan, as means over the target tokens of the effective batch.

    With `input_weight` the cross-entropy of the input's tokens, a mean over them, is added.

    Args:
        features: what is compared of the hidden states; None where no component needs it.
    """

    no_gradient_remedy = "Leave the component out, or look at these examples and at the teacher's logits for them."

    def __init__(self, plan: LossPlan, features: Features | None = None) -> None:
        self._plan, self._features = plan, features
        self.names = tuple(component.name for component, _ in plan.token_components)
        if plan.input_weight:
            self.names, self.fixed_weights = (*self.names, INPUT), {INPUT: plan.input_weight}
        self._text_names = [component.name for component, _ in plan.text_components]

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the projections of the student's hidden states."""
        return {} if self._features is None else self._features.weights()

    def accumulate(self, context: StepContext) -> TermValues:
        """Add the components' gradient, micro-batch by micro-batch; see `LossTerm`."""
        plan, critical, totals = self._plan, self._plan.critical_token_weight, context.totals
        zero = torch.zeros((), device=context.device)
        needs_norm = any(context.weights[name] for name in self._text_names)
        values = TermValues(zero, squared_norm=zero if needs_norm else None)
        if not any(context.weights[name] for name in self.names):
            return values
        features = self._features if any(context.weights[name] for name in plan.feature_components) else None
        weight = totals.tokens if critical is None else totals.tokens + (critical - 1.0) * totals.critical_tokens
        micro_batches = [batch for batch in context.micro_batches if batch.tokens]
        input_weight, input_tokens = context.weights.get(INPUT, 0.0), 0.0
        if input_weight:
            (input_tokens,) = context.processes.sums(sum(map(input_token_count, micro_batches)))
        for batch in (batch.to(context.device) for batch in micro_batches):
            losses, states = [], plan.needs_hidden_states or features is not None
            if input_tokens:
                outputs, inputs = read_with_inputs(context.model, batch, hidden_states=states)
                losses.append(inputs.loss(input_weight, input_tokens, norms=context.with_norms))
            else:
                outputs = context.model(batch.input_ids, batch.attention_mask, batch.labels, hidden_states=states)
            is_target = batch.labels != IGNORED
            target = TargetBatch(
                outputs.logits,
                batch.labels[is_target],
                batch.teacher,
                plan.temperature or 1.0,
                None if critical is None else (1.0 + (critical - 1.0) * batch.critical.float())[is_target],
                outputs.hidden_states if plan.needs_hidden_states else (),
                *(((), ()) if features is None else features.of(batch, outputs.hidden_states)),
            )
            of_targets = combine(plan, target, context.weights, totals.tokens, weight, norms=context.with_norms)
            losses.append(of_targets)
            total = torch.stack([loss.total for loss in losses]).sum()
            if context.backward is not None:
                context.backward(total)
            values.total = values.total + total.detach()
            if values.squared_norm is not None:
                values.squared_norm = values.squared_norm + squared_norm(of_targets.gradients)
            for loss in losses:
                for name, part in loss.parts.items():
                    values.raw[name] = values.raw.get(name, zero) + part
                for name, square in loss.squared_norms.items():
                    values.squared_norms[name] = values.squared_norms.get(name, zero) + square
        return values
