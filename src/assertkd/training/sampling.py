"""Which examples make a batch, and in which order batches come."""

from collections.abc import Sequence

import numpy as np

POOL_BATCHES = 32
"""Batches whose examples are sorted by length together: large enough to save padding, small enough to mix."""


def bucketed_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return one epoch's batches: examples of similar length together, batches in random order.

    Examples are shuffled, cut into pools of `POOL_BATCHES` batches, sorted by length within a pool and cut into
    batches, which are then shuffled. Every example stands in exactly one batch.

    Args:
        lengths: length of each example, in tokens.
        batch_size: examples in a batch; the smallest remainder of a pool makes a smaller one.
        seed: seed of the run.
        epoch: another epoch gives another order.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL_BATCHES * batch_size):
        pool = sorted(order[start : start + POOL_BATCHES * batch_size].tolist(), key=lambda index: lengths[index])
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]
