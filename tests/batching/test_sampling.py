"""Batches of an epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.batching.sampling import POOL_BATCHES, bucketed_batches, budgeted_batches

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


PAIRS = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 30)), min_size=1, max_size=300)


@given(PAIRS, st.integers(120, 900), st.integers(0, 3), st.integers(0, 3))
def test_no_batch_is_over_its_token_budget(lengths: list[tuple[int, int]], budget: int, seed: int, epoch: int) -> None:
    batches = budgeted_batches(lengths, budget, seed, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        sources, targets = zip(*(lengths[index] for index in batch), strict=True)
        assert 0 < len(batch) * (max(sources) + max(targets)) <= budget
    assert budgeted_batches(lengths, budget, seed, epoch) == batches


def test_token_budgets_are_used_and_shuffled() -> None:
    lengths = [((n * 37) % 90 + 1, (n * 11) % 30 + 1) for n in range(2000)]
    orders = [budgeted_batches(lengths, 960, seed, epoch) for seed in range(2) for epoch in range(2)]
    assert len({str(order) for order in orders}) == 4
    sizes = {len(batch) for batch in orders[0]}
    assert max(sizes) > 4 * min(sizes), "short examples share larger batches"
    real = sum(map(sum, lengths))
    assert real > 0.75 * 960 * len(orders[0]), "little of the budget is padding or left"
    means = [sum(sum(lengths[index]) for index in batch) / len(batch) for batch in orders[0]]
    assert means not in (sorted(means), sorted(means, reverse=True))


def test_an_example_over_the_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="example 1 has 31 tokens, over 30"):
        budgeted_batches([(1, 1), (30, 1)], 30, 0, 0)
