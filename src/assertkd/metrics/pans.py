"""PANS, position-aware n-gram similarity: n-gram overlap in which an n-gram out of place earns less."""

import math
from collections import defaultdict
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise

from assertkd.metrics.lexer import java_tokens

LONGEST = 4
DECAY = 0.1
"""Per token of distance, a match earns exp(-0.1) times as much."""

Positions = dict[tuple[str, ...], list[int]]
"""Per n-gram the places where it starts, ascending."""


def pans(prediction: str, reference: str) -> float:
    """Return the position-aware n-gram similarity of two texts' Java tokens, in [0, 1]; symmetric.

    For every n from 1 to 4 for which both texts have n tokens, the n-grams of one are matched one-to-one to equal
    n-grams of the other, the nearest positions first. A match of positions i and j earns exp(-0.1 |i - j|). The score
    of n is the harmonic mean of precision and recall of what is earned, 2 · earned / (n-grams of both); the result is
    the mean over n. Equal texts get 1.0 (two empty ones too), texts that share no token 0.0.
    """
    predicted, expected = java_tokens(prediction), java_tokens(reference)
    if predicted == expected:
        return 1.0
    longest = min(LONGEST, len(predicted), len(expected))
    if not longest:
        return 0.0
    scores = []
    for n, (own, other) in enumerate(zip(ngram_positions(predicted), ngram_positions(expected), strict=False), start=1):
        distances: list[int] = []
        for ngram in own.keys() & other.keys():
            distances += match_distances(own[ngram], other[ngram])
        # `fsum` does not depend on the order, and so neither does the score on which text comes first.
        earned = math.fsum(math.exp(-DECAY * distance) for distance in distances)
        scores.append(2 * earned / (len(predicted) + len(expected) - 2 * (n - 1)))
    return math.fsum(scores) / longest


@lru_cache(maxsize=1 << 12)
def ngram_positions(tokens: tuple[str, ...]) -> tuple[Positions, ...]:
    """Return the positions of the n-grams of `tokens` for n = 1, 2, … up to 4 or the number of tokens."""
    by_length = []
    for n in range(1, min(LONGEST, len(tokens)) + 1):
        positions: Positions = defaultdict(list)
        for position, ngram in enumerate(zip(*(tokens[skipped:] for skipped in range(n)), strict=False)):
            positions[ngram].append(position)
        by_length.append(dict(positions))
    return tuple(by_length)


def match_distances(own: list[int], other: list[int]) -> list[int]:
    """Return the distances of a one-to-one matching of two ascending lists of positions, the nearest first.

    Of pairs that are equally near, the one further to the front goes first, which makes the matching symmetric.
    O(m log m) for m positions.
    """
    if len(own) == len(other) == 1:
        return [abs(own[0] - other[0])]
    in_place = set(own).intersection(other)
    distances = [0] * len(in_place)
    own = [position for position in own if position not in in_place]
    other = [position for position in other if position not in in_place]
    if not own or not other:
        return distances
    # No two positions are equal by now, so the nearest pair always stands side by side in the merged row.
    row = sorted([(position, 0) for position in own] + [(position, 1) for position in other])
    before = list(range(-1, len(row) - 1))
    after = list(range(1, len(row) + 1))
    nearest = [
        (right[0] - left[0], index, index + 1)
        for index, (left, right) in enumerate(pairwise(row))
        if left[1] != right[1]
    ]
    heapify(nearest)
    matched = [False] * len(row)
    while nearest:
        distance, left, right = heappop(nearest)
        if matched[left] or matched[right]:
            continue
        matched[left] = matched[right] = True
        distances.append(distance)
        left, right = before[left], after[right]
        if left >= 0:
            after[left] = right
        if right < len(row):
            before[right] = left
        if left >= 0 and right < len(row) and row[left][1] != row[right][1]:
            heappush(nearest, (row[right][0] - row[left][0], left, right))
    return distances
