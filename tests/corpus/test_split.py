"""Splits: whole groups, every record once, shares met, and labelled records that only ever grow in number."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.corpus.split import SLACK, labelled_ids, split_off
from assertkd.errors import UserError
from assertkd.records import Record


def records(groups: list[int]) -> list[Record]:
    """Return records in as many projects as there are sizes, projects interleaved."""
    sized = [(turn, f"p{group}") for group, size in enumerate(groups) for turn in range(size)]
    return [Record(f"r{n}", "f", "t", "a", project) for n, (_, project) in enumerate(sorted(sized))]


def project(record: Record) -> str:
    return str(record.project)


SHARES = {"test": 0.2, "validation": 0.1}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(0, 5))
def test_groups_stay_whole_and_every_record_stands_once(groups: list[int], seed: int) -> None:
    given_records = records(groups)
    try:
        splits = split_off(given_records, SHARES, project, seed)
    except UserError as fault:
        assert len(groups) < 4 or max(groups) > sum(groups) / 2, fault
        return
    assert set(splits) == {"train", "validation", "test"}
    assert all(splits.values())
    assert Counter(r.id for part in splits.values() for r in part) == Counter(r.id for r in given_records)
    sides = [{r.project for r in part} for part in splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(groups)
    order = {r.id: index for index, r in enumerate(given_records)}
    for part in splits.values():
        assert [order[r.id] for r in part] == sorted(order[r.id] for r in part)


@given(st.lists(st.integers(1, 4), min_size=100, max_size=150), st.integers(0, 100))
def test_many_small_groups_meet_the_shares(groups: list[int], seed: int) -> None:
    given_records = records(groups)
    splits = split_off(given_records, SHARES, project, seed)
    for name, share in SHARES.items():
        wanted = share * len(given_records)
        assert wanted - 4 <= len(splits[name]) <= SLACK * wanted


@pytest.mark.parametrize("seed", range(20))
def test_a_big_group_is_not_split_off_where_small_ones_would_do(seed: int) -> None:
    splits = split_off(records([40, *[2] * 30]), SHARES, project, seed)
    assert len(splits["test"]) <= SLACK * 20
    assert len(splits["validation"]) <= SLACK * 10


@pytest.mark.parametrize("seed", range(20))
def test_where_every_group_is_too_big_the_smallest_goes(seed: int) -> None:
    splits = split_off(records([45, 25, 30]), {"test": 0.1}, project, seed)
    assert len(splits["test"]) == 25


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(UserError, match=r"2 groups of records are too few to fill the split 'validation'"):
        split_off(records([5, 6]), SHARES, project, 0)
    with pytest.raises(UserError, match="1 groups"):
        split_off(records([5]), SHARES, project, 0)


def test_the_seed_chooses() -> None:
    given_records = records([2] * 50)
    tests = [split_off(given_records, SHARES, project, seed)["test"] for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


IDS = st.lists(st.text(max_size=5), min_size=1, max_size=25, unique=True)


@given(IDS, st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 3))
def test_labelled_ids_grow_with_the_share(ids: list[str], one: float, other: float, seed: int) -> None:
    small, large = sorted((one, other))
    few, many = labelled_ids(ids, small, seed), labelled_ids(ids, large, seed)
    assert few <= many <= set(ids)
    assert len(many) == max(1, round(large * len(ids)))
    assert labelled_ids(ids[::-1], small, seed) == few, "their order does not matter"


def test_labelled_ids_by_seed() -> None:
    ids = [str(number) for number in range(1000)]
    assert labelled_ids(ids, 1.0, 0) == set(ids)
    one, other = labelled_ids(ids, 0.5, 0), labelled_ids(ids, 0.5, 1)
    # Two independent halves share a quarter of the ids: 250, deviation sqrt(1000)/4 = 8.
    assert 210 < len(one & other) < 290
