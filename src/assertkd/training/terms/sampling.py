"""What the student writes for the inputs of an optimizer step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from assertkd.batching.examples import Batch
from assertkd.models.decoding import output_lengths, pad_sequences
from assertkd.models.distillable import IGNORED
from assertkd.training.loss_term import StepContext

MAX_LENGTH_RATIO = 2
"""Longest output, as a multiple of the longest target among its examples."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The student's outputs for B inputs, K each: tokens (B, K, T), padded behind their ends, and lengths (B, K)."""

    input_ids: Tensor
    attention_mask: Tensor
    tokens: Tensor
    lengths: Tensor


def seeds_of_step(context: StepContext, seed: int, *further: int) -> list[int]:
    """Return two random numbers of 64 bits that follow from seed, step and process; `further` sets pairs apart."""
    # Process 0 samples what a process alone would.
    rank = [context.processes.rank] if context.processes.rank else []
    sequence = np.random.SeedSequence([seed, context.step, *further, *rank])
    return [int(number) for number in sequence.generate_state(2, np.uint64)]


@torch.no_grad()
def sample_outputs(
    context: StepContext, rows: Sequence[tuple[Batch, int]], count: int, max_new_tokens: int, seed: int
) -> Outputs:
    """Return `count` outputs for each of these rows of batches; there may be none."""
    model, device = context.model, context.device
    if not rows:
        nothing = torch.zeros(0, count, dtype=torch.long, device=device)
        return Outputs(nothing, nothing, nothing[..., None], nothing)
    inputs = [batch.input_ids[row][batch.attention_mask[row].bool()].tolist() for batch, row in rows]
    input_ids, attention_mask = (each.to(device) for each in pad_sequences(inputs, model.pad_token_id))
    longest = max(int((batch.labels[row] != IGNORED).sum()) for batch, row in rows)
    limit = min(max_new_tokens, MAX_LENGTH_RATIO * max(1, longest))
    generator = torch.Generator().manual_seed(seed >> 1)
    tokens = model.sample(input_ids, attention_mask, count, limit, generator=generator)
    return Outputs(input_ids, attention_mask, tokens, output_lengths(tokens, model.end_token_ids))
