"""Batches of an epoch: which examples share a batch, and the order of batches."""

import itertools
from collections.abc import Sequence

import numpy as np

POOL_BATCHES = 32
"""Batches whose examples are sorted by length together: large enough to save padding, small enough to mix."""

Lengths = tuple[int, int]
"""An example's source and target, in tokens."""


def bucketed_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return one epoch's batches: examples of similar length together, batches in random order.

    Examples are shuffled, cut into pools of `POOL_BATCHES` batches, sorted by length within a pool and cut into
    batches, which are then shuffled. Every example is in exactly one batch.

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


def budgeted_batches(lengths: Sequence[Lengths], token_budget: int, seed: int, epoch: int) -> list[list[int]]:
    """Return one epoch's batches of at most `token_budget` tokens each, padding counted, in random order.

    As `bucketed_batches`, but a pool holds as many examples as `POOL_BATCHES` batches without padding would, and a
    batch takes the next example of its pool as long as its rows, each with the longest source and target, stay within
    the budget. Batches of short examples are therefore larger. The number of batches of an epoch depends on the order.

    Args:
        lengths: of each example.
        token_budget: at least the longest example's source and target together.
        seed: seed of the run.
        epoch: another epoch gives another order.

    Raises:
        ValueError: an example alone is over the budget.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths)).tolist()
    totals = np.cumsum([sum(lengths[index]) for index in order])
    pool_numbers = totals // (POOL_BATCHES * token_budget)
    bounds = [0, *(np.flatnonzero(np.diff(pool_numbers)) + 1).tolist(), len(order)]
    batches: list[list[int]] = []
    for start, end in itertools.pairwise(bounds):
        batch: list[int] = []
        source = target = 0
        for index in sorted(order[start:end], key=lambda index: (sum(lengths[index]), lengths[index])):
            one_source, one_target = lengths[index]
            if one_source + one_target > token_budget:
                raise ValueError(f"example {index} has {one_source + one_target} tokens, over {token_budget}")
            wider = max(source, one_source), max(target, one_target)
            if batch and (len(batch) + 1) * sum(wider) > token_budget:
                batches.append(batch)
                batch, wider = [], (one_source, one_target)
            batch.append(index)
            source, target = wider
        batches += [batch] if batch else []
    return [batches[index] for index in generator.permutation(len(batches))]
