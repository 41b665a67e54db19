"""PANS: hand-computed cases, and the definition written out pair by pair."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.metrics.lexer import java_tokens
from assertkd.metrics.pans import match_distances, pans

TOKENS = st.lists(st.sampled_from(["a", "b", "c", "(", ")", ";"]), max_size=24)
POSITIONS = st.sets(st.integers(0, 40), min_size=1).map(sorted)


def literal_distances(own: list[int], other: list[int]) -> list[int]:
    """Every pair, sorted by distance; each is taken while both of its ends are free."""
    pairs = sorted((abs(i - j), i + j, i, j) for i in own for j in other)
    free_own, free_other, taken = set(own), set(other), []
    for distance, _, i, j in pairs:
        if i in free_own and j in free_other:
            free_own.remove(i)
            free_other.remove(j)
            taken.append(distance)
    return taken


def literal_pans(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return float(one == other)
    scores = []
    for n in range(1, min(4, len(one), len(other)) + 1):
        a = [tuple(one[i : i + n]) for i in range(len(one) - n + 1)]
        b = [tuple(other[i : i + n]) for i in range(len(other) - n + 1)]
        credit = 0.0
        for gram in set(a):
            own, theirs = [i for i, x in enumerate(a) if x == gram], [j for j, x in enumerate(b) if x == gram]
            credit += sum(exp(-0.1 * distance) for distance in literal_distances(own, theirs))
        precision, recall = credit / len(a), credit / len(b)
        scores.append(2 * precision * recall / (precision + recall) if credit else 0.0)
    return sum(scores) / len(scores)


def test_one_token_replaced() -> None:
    # 5 tokens with the third one wrong: 4 of 5 single tokens, 2 of 4 pairs, no triple, nothing longer.
    assert pans("assertTrue(x);", "assertTrue(y);") == pytest.approx((4 / 5 + 2 / 4 + 0 + 0) / 4)


def test_a_shift_by_one_costs_a_tenth_in_the_exponent() -> None:
    # a b c  against  x a b c: all three at distance 1; lengths 3 and 4, 2 and 3, 1 and 2.
    assert pans("a b c", "x a b c") == pytest.approx(exp(-0.1) * (6 / 7 + 4 / 5 + 2 / 3) / 3)


def test_a_repeated_token_is_matched_once() -> None:
    assert pans("a a a a a", "a") == pytest.approx(2 / 6)
    # The a at place 2 lies nearer to place 3 than the one at place 0; the longest common n-gram has one token.
    assert pans("a b a", "x y z a") == pytest.approx((2 * exp(-0.1) / 7 + 0 + 0) / 3)


def test_the_nearest_pair_goes_first() -> None:
    # 5 takes 6, though 2 would be left the worse for it; then 2 takes 9.
    assert sorted(match_distances([2, 5], [6, 9])) == [1, 7]
    # Of 1-2, 3-2 and 3-4, all at distance 1, the front one goes first and leaves 4 to 3.
    assert sorted(match_distances([1, 3], [2, 4])) == [1, 1]


@pytest.mark.parametrize("text", ["", "a", "fail();", "assertEquals(3, list.size());"])
def test_equal_texts(text: str) -> None:
    assert pans(text, text) == 1.0


def test_blanks_make_no_difference_and_nothing_shared_earns_nothing() -> None:
    assert pans("assertEquals( 3 ,x )  ;", "assertEquals(3, x);") == 1.0
    assert pans("a b c d", "w x y z") == pans("", "a") == pans("a", " ") == 0.0


@given(POSITIONS, POSITIONS)
def test_matching_against_all_pairs(own: list[int], other: list[int]) -> None:
    assert sorted(match_distances(own, other)) == sorted(literal_distances(own, other))


@given(TOKENS, TOKENS)
def test_against_the_definition_written_out(one: list[str], other: list[str]) -> None:
    a, b = " ".join(one), " ".join(other)
    assert list(java_tokens(a)) == one
    assert pans(a, b) == pytest.approx(literal_pans(one, other))
    assert pans(a, b) == pans(b, a)
    assert 0.0 <= pans(a, b) <= 1.0
    assert pans(a, a) == 1.0
