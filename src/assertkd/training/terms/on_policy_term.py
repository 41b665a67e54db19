"""Learning from the student's own outputs: the teacher scores them, and the generalised JSD is minimised.

Source: Agarwal et al. 2024, On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes (GKD),
algorithm 1, with a share of the optimizer steps on the student's own outputs. As there, no gradient passes through the
sampling.
"""

import numpy as np
import torch

from assertkd.batching.distributions import DenseView
from assertkd.losses.divergence import generalised_jsd
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.settings.distillation import OnPolicySettings
from assertkd.training.loss_term import LossTerm, StepContext, TermValues
from assertkd.training.terms.sampling import Outputs, sample_outputs, seeds_of_step

ON_POLICY = "on_policy"
"""Name of the divergence along the student's own outputs."""

CHOICE, DRAWS = 1_000_001, 1_000_002
"""Set these random numbers apart from others that follow from seed and step, and from each other."""


def is_on_policy(step: int, fraction: float, seed: int) -> bool:
    """Return whether an optimizer step learns from the student's own outputs; it follows from the seed and the step."""
    return bool(np.random.default_rng([seed, step, CHOICE]).random() < fraction)


class OnPolicyTerm(LossTerm):
    """The divergence from the teacher along one output of the student for each input.

    The outputs follow from the seed and the step alone, so a resumed training goes on as it would have, and do not
    depend on how the effective batch is cut.

    Args:
        teacher: on the student's device, in evaluation mode; its weights are not touched.
        max_new_tokens: longest output, in tokens.
        sequences_per_pass: outputs in one scoring pass.
    """

    names = (ON_POLICY,)
    no_gradient_remedy = "Start from a student that differs from the teacher, or leave on_policy out."

    def __init__(
        self,
        teacher: DistillableModel,
        settings: OnPolicySettings,
        max_new_tokens: int,
        sequences_per_pass: int,
        seed: int,
    ) -> None:
        self._teacher, self._settings = teacher, settings
        self._max_new_tokens, self._sequences_per_pass, self._seed = max_new_tokens, sequences_per_pass, seed

    def accumulate(self, context: StepContext) -> TermValues:
        """Add the divergence's gradient: its mean over the tokens of all outputs; see `LossTerm`."""
        loss = square = torch.zeros((), device=context.device)
        if not context.weights[ON_POLICY]:
            return TermValues(loss)
        model = context.model
        outputs = self._outputs(context)
        tokens, lengths = outputs.tokens[:, 0], outputs.lengths[:, 0]
        (count,) = context.processes.sums(int(lengths.sum()))
        for start in range(0, len(tokens), self._sequences_per_pass):
            part = slice(start, start + self._sequences_per_pass)
            is_target = torch.arange(tokens.shape[1], device=context.device) < lengths[part, None]
            labels = tokens[part].masked_fill(~is_target, IGNORED)
            batch = outputs.input_ids[part], outputs.attention_mask[part], labels
            with torch.no_grad():
                teacher = DenseView(self._teacher(*batch).logits.float())
            with torch.set_grad_enabled(context.backward is not None):
                logits = model(*batch).logits
            leaf = logits.detach().requires_grad_()
            with torch.enable_grad():
                target = TargetBatch(leaf, tokens[part][is_target], teacher, self._settings.temperature)
                value = generalised_jsd(target, self._settings.beta) / count
                (slope,) = torch.autograd.grad(value, leaf)
            if context.with_norms:
                square = square + slope.float().square().sum()
            if context.backward is not None:
                # A scalar of this very gradient, so that the divergence is not passed through twice.
                context.backward((logits * slope).sum())
            loss = loss + value.detach()
        squared_norms = {ON_POLICY: square} if context.with_norms else {}
        return TermValues(loss, {ON_POLICY: loss}, squared_norms, tokens=int(count))

    def _outputs(self, context: StepContext) -> Outputs:
        """Return the student's output for every input."""
        rows = [(batch, row) for batch in context.micro_batches for row in range(len(batch.ids))]
        seed, _ = seeds_of_step(context, self._seed, DRAWS)
        return sample_outputs(context, rows, 1, self._max_new_tokens, seed)
