"""Batches of an epoch."""

from hypothesis import given
from hypothesis import strategies as st

from assertkd.training.sampling import POOL_BATCHES, bucketed_batches

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=300)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3))
def test_every_example_stands_in_one_batch(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    batches = bucketed_batches(lengths, batch_size, seed, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(0 < len(batch) <= batch_size for batch in batches)
    assert len(batches) == -(-len(lengths) // batch_size), "so every epoch has as many"
    assert bucketed_batches(lengths, batch_size, seed, epoch) == batches


def test_epochs_and_seeds_differ() -> None:
    lengths = [n % 17 + 1 for n in range(100)]
    orders = {str(bucketed_batches(lengths, 4, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_batches_hold_examples_of_similar_length_in_random_order() -> None:
    lengths = [(n * 37) % 400 + 1 for n in range(400)]
    batches = bucketed_batches(lengths, 4, 0, 0)
    padding = sum(max(lengths[i] for i in batch) * len(batch) - sum(lengths[i] for i in batch) for batch in batches)
    shuffled = sum(max(lengths[n : n + 4]) * 4 - sum(lengths[n : n + 4]) for n in range(0, 400, 4))
    assert padding < 0.1 * shuffled
    assert POOL_BATCHES * 4 < 400, "more than one pool"
    means = [sum(lengths[i] for i in batch) for batch in batches]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)
