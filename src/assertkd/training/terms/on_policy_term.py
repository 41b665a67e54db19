"""Learning from what the student writes itself: the teacher scores it, and the generalised JSD is minimised.

Source: Agarwal et al. 2024, On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes (GKD),
algorithm 1, with a share of the optimizer steps on the student's own outputs. As there, no gradient passes through the
sampling.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import IGNORED, Batch
from assertkd.errors import UserError
from assertkd.losses.divergence import generalised_jsd
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.t5.generation import end_tokens, padded, sample, written_lengths
from assertkd.models.t5.model import TargetLogits, shift_right
from assertkd.settings.on_policy import OnPolicySettings
from assertkd.training.parallel.process_group import ProcessGroup

MAX_LENGTH_RATIO = 2
"""Outputs may be this many times as long as the longest target of their step; what rambles on is cut off."""

CHOICE, DRAWS = 1_000_001, 1_000_002
"""Set these random numbers apart from others that follow from seed and step, and from each other."""


@dataclass(frozen=True, slots=True)
class OnPolicyValues:
    """What one on-policy step's loss is.

    Attributes:
        loss: mean divergence over the tokens of the outputs, in nats times temperature squared; of this process's
            outputs as a share of all.
        square: its squared gradient norm at the logits, likewise; 0 if not asked for.
    """

    loss: Tensor
    square: Tensor


class OnPolicy:
    """The on-policy part of one training run.

    Which steps are on-policy and what is drawn there follows from the seed and the step alone, so a resumed run goes on
    as it would have, and does not depend on how the effective batch is cut.

    Args:
        teacher: the teacher, in evaluation mode, on the student's device; its weights are not touched.
        settings: share, divergence and temperature.
        max_new_tokens: longest output, in tokens.
        sequences_at_once: outputs in one scoring pass.
        seed: of the choice of steps and of the outputs.
        processes: those among which the effective batch is shared out; each samples for its own examples.
    """

    def __init__(
        self,
        teacher: TargetLogits,
        settings: OnPolicySettings,
        max_new_tokens: int,
        sequences_at_once: int,
        seed: int,
        processes: ProcessGroup | None = None,
    ) -> None:
        self._teacher, self._settings = teacher, settings
        self._max_new_tokens, self._at_once, self._seed = max_new_tokens, sequences_at_once, seed
        self._processes = processes or ProcessGroup()

    def takes(self, step: int) -> bool:
        """Return whether this optimizer step learns from the student's own outputs."""
        return bool(np.random.default_rng([self._seed, step, CHOICE]).random() < self._settings.fraction)

    def accumulate(
        self,
        model: TargetLogits,
        group: Sequence[Batch],
        step: int,
        backward: Callable[[Tensor], None] | None,
        *,
        norms: bool,
    ) -> OnPolicyValues:
        """Add the gradient of the divergence along one output for each input of an effective batch.

        Args:
            model: the student, as it is trained.
            group: the micro-batches of the step.
            step: decides what is drawn.
            backward: takes the loss of a part of the outputs; None to compute values alone.
            norms: whether to return the gradient norm.
        """
        config, device = model.model.config, model.model.device
        self._teacher.to(device)
        input_ids, attention_mask, tokens = self._written(model, group, step)
        lengths = written_lengths(tokens, end_tokens(model.model))
        (count,) = self._processes.sums(int(lengths.sum()))
        loss = square = torch.zeros((), device=device)
        for start in range(0, len(tokens), self._at_once):
            part = slice(start, start + self._at_once)
            is_target = torch.arange(tokens.shape[1], device=device) < lengths[part, None]
            shifted = shift_right(tokens[part], config.decoder_start_token_id, config.pad_token_id)
            arguments = (input_ids[part], attention_mask[part], shifted, is_target)
            with torch.no_grad():
                known = DenseView(self._teacher(*arguments).float())
            with torch.set_grad_enabled(backward is not None):
                logits = model(*arguments)
            leaf = logits.detach().requires_grad_()
            with torch.enable_grad():
                batch = TargetBatch(leaf, tokens[part][is_target], known, self._settings.temperature)
                value = generalised_jsd(batch, self._settings.beta) / count
                (slope,) = torch.autograd.grad(value, leaf)
            if norms:
                square = square + slope.float().square().sum()
            if backward is not None:
                # A scalar of this very gradient, so that the divergence is not passed through twice.
                backward((logits * slope).sum())
            loss = loss + value.detach()
        return OnPolicyValues(loss, square)

    def _written(self, model: TargetLogits, group: Sequence[Batch], step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the inputs (B, S), their mask, and the student's output for each, (B, T), padded behind its end."""
        inner, pad = model.model, model.model.config.pad_token_id
        if not group:
            nothing = torch.zeros(0, 1, dtype=torch.long, device=inner.device)
            return nothing, nothing, nothing
        rows = [
            ids[mask.bool()].tolist()
            for one in group
            for ids, mask in zip(one.input_ids, one.attention_mask, strict=True)
        ]
        input_ids, attention_mask = (each.to(inner.device) for each in padded(rows, pad))
        longest = max(int((batch.labels != IGNORED).sum(1).max()) for batch in group)
        limit = min(self._max_new_tokens, MAX_LENGTH_RATIO * longest)
        # Process 0 draws what a process alone would.
        of_process = [self._processes.rank] if self._processes.rank else []
        entropy = np.random.SeedSequence([self._seed, step, DRAWS, *of_process]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(entropy[0] >> np.uint64(1)))
        tokens = sample(inner, input_ids, attention_mask, 1, limit, generator=generator)
        return input_ids, attention_mask, tokens[:, 0]


def check_vocabularies(student: int, teacher: int) -> None:
    """Refuse a student that the teacher cannot score.

    Raises:
        UserError: the vocabularies differ in size.
    """
    if student != teacher:
        raise UserError(
            f"on_policy: the student has {student} vocabulary entries, the teacher {teacher}",
            "Choose a student of the teacher's vocabulary.",
        )
