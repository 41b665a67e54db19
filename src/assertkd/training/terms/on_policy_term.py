"""Learning from the student's own outputs: the teacher scores them, and the generalised JSD is minimised.

Source: Agarwal et al. 2024, On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes (GKD),
algorithm 1, with a share of the optimizer steps on the student's own outputs. As there, no gradient passes through the
sampling.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Batch
from assertkd.losses.divergence import generalised_jsd
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.decoding import output_lengths, pad_sequences
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.settings.distillation import OnPolicySettings
from assertkd.training.loss_term import StepContext, TermValues

ON_POLICY = "on_policy"
"""Name of the divergence along the student's own outputs."""

MAX_LENGTH_RATIO = 2
"""Longest output, as a multiple of the longest target of its step."""

CHOICE, DRAWS = 1_000_001, 1_000_002
"""Set these random numbers apart from others that follow from seed and step, and from each other."""


def is_on_policy(step: int, fraction: float, seed: int) -> bool:
    """Return whether an optimizer step learns from the student's own outputs; it follows from the seed and the step."""
    return bool(np.random.default_rng([seed, step, CHOICE]).random() < fraction)


class OnPolicyTerm:
    """The divergence from the teacher along one output of the student for each input.

    The outputs follow from the seed and the step alone, so a resumed training goes on as it would have, and do not
    depend on how the effective batch is cut.

    Args:
        teacher: the teacher, in evaluation mode; its weights are not touched.
        settings: divergence and temperature.
        max_new_tokens: longest output, in tokens.
        sequences_per_pass: outputs in one scoring pass.
        seed: of the outputs.
    """

    names: tuple[str, ...] = (ON_POLICY,)
    fixed_weights: Mapping[str, float] = MappingProxyType({})
    columns: tuple[str, ...] = ()
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

    def prepare(self, device: torch.device) -> None:
        """Move the teacher to the device."""
        self._teacher.to(device)

    def accumulate(self, context: StepContext) -> TermValues:
        """Add the divergence's gradient: its mean over the tokens of all outputs; see `LossTerm`."""
        loss = square = torch.zeros((), device=context.device)
        if not context.weights[ON_POLICY]:
            return TermValues(loss)
        model = context.model
        input_ids, attention_mask, tokens = self._outputs(context)
        lengths = output_lengths(tokens, model.end_token_ids)
        (count,) = context.processes.sums(int(lengths.sum()))
        for start in range(0, len(tokens), self._sequences_per_pass):
            part = slice(start, start + self._sequences_per_pass)
            is_target = torch.arange(tokens.shape[1], device=context.device) < lengths[part, None]
            batch = input_ids[part], attention_mask[part], tokens[part].masked_fill(~is_target, IGNORED)
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
        return TermValues(loss, {ON_POLICY: loss}, squared_norms)

    def _outputs(self, context: StepContext) -> tuple[Tensor, Tensor, Tensor]:
        """Return the inputs (B, S), their mask, and the student's output for each, (B, T), padded behind its end."""
        model, device = context.model, context.device
        if not context.micro_batches:
            nothing = torch.zeros(0, 1, dtype=torch.long, device=device)
            return nothing, nothing, nothing
        inputs = _inputs(context.micro_batches)
        input_ids, attention_mask = (each.to(device) for each in pad_sequences(inputs, model.pad_token_id))
        longest = max(int((batch.labels != IGNORED).sum(1).max()) for batch in context.micro_batches)
        limit = min(self._max_new_tokens, MAX_LENGTH_RATIO * longest)
        # Process 0 samples what a process alone would.
        rank = [context.processes.rank] if context.processes.rank else []
        entropy = np.random.SeedSequence([self._seed, context.step, DRAWS, *rank]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(entropy[0] >> np.uint64(1)))
        tokens = model.sample(input_ids, attention_mask, 1, limit, generator=generator)
        return input_ids, attention_mask, tokens[:, 0]


def _inputs(micro_batches: Sequence[Batch]) -> list[list[int]]:
    return [
        ids[mask.bool()].tolist()
        for batch in micro_batches
        for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
    ]
