"""How far a student's distributions are from the teacher's over the test targets, from the logit store."""

from collections.abc import Sequence

import torch

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.logits.store.reader import StoreReader
from assertkd.losses.divergence import kl
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.runtime.devices import float64_or_32


@torch.no_grad()
def kl_divergence(
    model: DistillableModel,
    examples: Sequence[Example],
    store: StoreReader,
    temperature: float,
    batch_size: int,
    device: torch.device,
) -> float:
    """Return the mean over target tokens of KL(p_τ ‖ q_τ) in nats, p the teacher's and q the student's distribution.

    On a store that keeps not the whole vocabulary but a support and its tail, it is the KL of these buckets, a lower
    bound.

    Args:
        model: the student, on `device`, in evaluation mode.
        examples: what the store holds, with the same targets.
        store: the teacher's logits.
        temperature: τ, above 0; one that the store holds.
        batch_size: examples in a forward pass.
        device: where to compute.

    Raises:
        UserError: the store does not fit the examples, or does not hold the temperature.
    """
    order = sorted(examples, key=lambda example: len(example.input_ids))
    total = torch.zeros((), dtype=float64_or_32(device), device=device)
    tokens = 0
    for start in range(0, len(order), batch_size):
        batch = collate(order[start : start + batch_size], model.pad_token_id, store).to(device)
        logits = model(batch.input_ids, batch.attention_mask, batch.labels).logits
        target = TargetBatch(logits, batch.labels[batch.labels != IGNORED], batch.teacher, temperature)
        total += kl(target).to(total.dtype) / temperature**2
        tokens += batch.tokens
    return float(total) / tokens
