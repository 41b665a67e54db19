"""How many of a distribution's likeliest tokens are worth keeping, and how much mass the others have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assertkd.logits.codecs.head import Float32

Float64 = npt.NDArray[np.float64]

LARGEST_ODDS = float(np.finfo(np.float16).max)
FARTHEST = 1e8
"""Distances beyond are taken for this one: at no temperature up to 100 does so unlikely a token have any mass."""


@dataclass(frozen=True, slots=True)
class Support:
    """The likeliest tokens of T distributions, K >= k of each.

    Attributes:
        k: (T,) int64, how many of them to keep, at least 1.
        ids: (T, K) int64, likeliest first; of equals the lower id.
        distance: (T, K) float32, nats below the likeliest at T = 1, so that the first is 0.
        tail: (T, n) float64, log of the mass outside the first k over the mass inside, at each temperature;
            -inf where there are no others, and else within ±65504, what float16 holds.
    """

    k: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    distance: Float32
    tail: Float64


def choose_support(logits: Float32, temperatures: Sequence[float], price: float, max_k: int) -> Support:
    """Return the support of each distribution that minimises KL(full ‖ kept) + price · k.

    "Kept" as a distribution spreads the mass outside the support evenly over the tokens there. Its KL for every k comes
    from cumulative sums: with w = exp(-distance), W and A the sums of w and of w · distance over the tokens outside,
    and Z the sum of w over all, it is `(-A - W · log(W / (V - k))) / Z`.

    Args:
        logits: (T, V), finite.
        temperatures: n of them, above 0, for the tails.
        price: nats an entry, above 0.
        max_k: most entries.
    """
    vocabulary = logits.shape[1]
    width = min(max_k, vocabulary)
    ids, distance, rest = _sorted_head(logits, width)
    ks = np.arange(1, width + 1)
    inside, outside = _masses(distance, rest, 1.0)
    wide = distance.astype(np.float64)
    spread = _sums_behind(wide * np.exp(-wide), _scaled_sum(rest, 1.0, rest))
    with np.errstate(divide="ignore", invalid="ignore"):
        even = np.where(outside > 0, outside * np.log(outside / (vocabulary - ks)), 0.0)
    divergence = ((-spread - even) / (inside + outside)).clip(min=0.0)
    k = (divergence + price * ks).argmin(axis=1) + 1
    last = k[:, None] - 1
    # The tail's likeliest token bounds its mass from below, where the sum of exponentials has underflowed.
    with_next = np.concatenate([distance, rest.min(axis=1, initial=np.inf, keepdims=True)], axis=1)
    nearest = np.take_along_axis(with_next, k[:, None], axis=1)
    tails = []
    for temperature in temperatures:
        within, without = (np.take_along_axis(mass, last, axis=1) for mass in _masses(distance, rest, temperature))
        with np.errstate(divide="ignore"):
            tails.append(np.maximum(np.log(without), -nearest / temperature) - np.log(within))
    tail = np.concatenate(tails, axis=1).clip(-LARGEST_ODDS, LARGEST_ODDS)
    tail[k == vocabulary] = -np.inf
    return Support(k, ids, distance, tail)


def _sorted_head(logits: Float32, width: int) -> tuple[npt.NDArray[np.int64], Float32, Float32]:
    """Return ids and distances (T, width) of the likeliest tokens in order, and the others' distances (T, V - width).

    Distance and id are sorted as one integer, since the bits of floats of at least 0 are in the order of their values:
    no two are equal, so the result is the same on every machine.
    """
    with np.errstate(over="ignore"):
        distances = np.minimum(logits.max(axis=1, keepdims=True) - logits, np.float32(FARTHEST))
    # -0.0 equals 0.0, but its bits are those of the largest key.
    distances = np.abs(distances)
    keys = distances.view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(logits.shape[1], dtype=np.uint64)
    if width < logits.shape[1]:
        keys.partition(width - 1, axis=1)
    head, rest = np.sort(keys[:, :width], axis=1), keys[:, width:]
    return (head & np.uint64(0xFFFFFFFF)).astype(np.int64), _distances(head), _distances(rest)


def _distances(keys: npt.NDArray[np.uint64]) -> Float32:
    return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)


def _masses(distance: Float32, rest: Float32, temperature: float) -> tuple[Float64, Float64]:
    """Return the sums of exp(-distance / T) over the first k and over all others, (T, K) each, for k = 1..K."""
    weights = np.exp(-distance.astype(np.float64) / temperature)
    return weights.cumsum(axis=1), _sums_behind(weights, _scaled_sum(rest, temperature))


def _scaled_sum(rest: Float32, temperature: float, factor: Float32 | float = 1.0) -> Float64:
    """Return the sum of factor · exp(-rest / T) of each row, (T,): float32 exponentials that cannot all underflow."""
    least = rest.min(axis=1, initial=FARTHEST, keepdims=True)
    summed: Float64 = (factor * np.exp((least - rest) / temperature)).sum(axis=1, dtype=np.float64)
    total: Float64 = summed * np.exp(-least[:, 0].astype(np.float64) / temperature)
    return total


def _sums_behind(values: Float64, rest: Float64) -> Float64:
    """Return what lies behind each of the values in a row, `rest` included, (T, K); summed from the small end."""
    columns = np.concatenate([values[:, 1:], rest[:, None]], axis=1)
    return columns[:, ::-1].cumsum(axis=1)[:, ::-1]
