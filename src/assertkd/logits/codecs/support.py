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
class TopLogprobs:
    """The likeliest tokens of T distributions at T = 1 that something else than a head gave; the others' mass is even.

    Attributes:
        ids: (T, K) int64, likeliest first, each once in a row.
        log_p: (T, K) float64, their log-probabilities; minus infinity at the padding behind a row's tokens.
        vocab_size: V, among which the rest of the mass is spread evenly, since nothing more is known of it.
    """

    ids: npt.NDArray[np.int64]
    log_p: Float64
    vocab_size: int

    def __len__(self) -> int:
        """Return T."""
        return len(self.ids)

    @property
    def held(self) -> npt.NDArray[np.int64]:
        """The number of tokens of each distribution, (T,)."""
        held: npt.NDArray[np.int64] = np.isfinite(self.log_p).sum(axis=1)
        return held

    @property
    def log_tail(self) -> Float64:
        """The log of the mass outside the tokens, (T,); minus infinity where there is none."""
        with np.errstate(divide="ignore"):
            outside = np.log((1.0 - np.exp(self.log_p).sum(axis=1)).clip(min=0.0))
        return np.where(self.held < self.vocab_size, outside, -np.inf)

    def logits(self, part: slice = slice(None)) -> Float32:
        """Return the whole distributions of some positions, (n, V) log-probabilities."""
        ids, log_p = self.ids[part], self.log_p[part]
        whole = np.repeat(self.log_other[part, None], self.vocab_size, axis=1)
        rows, columns = np.isfinite(log_p).nonzero()
        whole[rows, ids[rows, columns]] = log_p[rows, columns]
        return np.maximum(whole, -FARTHEST).astype(np.float32)

    @property
    def log_other(self) -> Float64:
        """The log-probability of each token outside, (T,)."""
        return self.log_tail - np.log(np.maximum(self.vocab_size - self.held, 1))


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Tokens in the order of their likelihood.

    Attributes:
        ids: (T, K) int64, those that may be kept.
        distance: (T, K) float32, theirs from the likeliest.
        rest: (T, R) float32, the distances of all others.
        counts: of tokens at each of these distances, (T, R) or 1.
        held: (T,), how many of the first K are tokens and no padding.
    """

    ids: npt.NDArray[np.int64]
    distance: Float32
    rest: Float32
    counts: Float32 | float
    held: npt.NDArray[np.int64] | int


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


def choose_support(
    distributions: Float32 | TopLogprobs, temperatures: Sequence[float], price: float, max_k: int
) -> Support:
    """Return the support of each distribution that minimises KL(full ‖ kept) + price · k.

    "Kept" as a distribution spreads the mass outside the support evenly over the tokens there. Its KL for every k comes
    from cumulative sums: with w = exp(-distance), W and A the sums of w and of w · distance over the tokens outside,
    and Z the sum of w over all, it is `(-A - W · log(W / (V - k))) / Z`.

    Args:
        distributions: finite logits (T, V), or what is given of the likeliest tokens.
        temperatures: n of them, above 0, for the tails.
        price: nats an entry, above 0.
        max_k: most entries.
    """
    if isinstance(distributions, TopLogprobs):
        vocabulary, ordered = distributions.vocab_size, _ordered_top(distributions, max_k)
    else:
        vocabulary = distributions.shape[1]
        ids, distance, rest = _sorted_head(distributions, min(max_k, vocabulary))
        ordered = _Ordered(ids, distance, rest, 1.0, distance.shape[1])
    distance, rest, counts = ordered.distance, ordered.rest, ordered.counts
    ks = np.arange(1, distance.shape[1] + 1)
    inside, outside = _masses(ordered, 1.0)
    wide = distance.astype(np.float64)
    spread = _sums_behind(wide * np.exp(-wide), _scaled_sum(rest, 1.0, counts * rest))
    with np.errstate(divide="ignore", invalid="ignore"):
        even = np.where(outside > 0, outside * np.log(outside / (vocabulary - ks)), 0.0)
    divergence = ((-spread - even) / (inside + outside)).clip(min=0.0)
    cost = np.where(ks <= np.reshape(ordered.held, (-1, 1)), divergence + price * ks, np.inf)
    k = cost.argmin(axis=1) + 1
    last = k[:, None] - 1
    # The tail's likeliest token bounds its mass from below, where the sum of exponentials has underflowed.
    with_next = np.concatenate([distance, rest.min(axis=1, initial=np.inf, keepdims=True)], axis=1)
    nearest = np.take_along_axis(with_next, k[:, None], axis=1)
    tails = []
    for temperature in temperatures:
        within, without = (np.take_along_axis(mass, last, axis=1) for mass in _masses(ordered, temperature))
        with np.errstate(divide="ignore"):
            tails.append(np.maximum(np.log(without), -nearest / temperature) - np.log(within))
    tail = np.concatenate(tails, axis=1).clip(-LARGEST_ODDS, LARGEST_ODDS)
    tail[k == vocabulary] = -np.inf
    return Support(k, ordered.ids, distance, tail)


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


def _ordered_top(top: TopLogprobs, max_k: int) -> _Ordered:
    """Return what is given in order: beyond `max_k` tokens one by one, and all that are not given at one distance."""
    others = np.maximum(top.vocab_size - top.held, 0)
    likeliest = top.log_p[:, :1]
    distances = np.concatenate([likeliest - top.log_p, likeliest - top.log_other[:, None]], axis=1)
    distance = np.minimum(distances, FARTHEST).astype(np.float32)
    width = min(max_k, top.ids.shape[1])
    counts = np.concatenate([np.isfinite(top.log_p[:, width:]), others[:, None]], axis=1).astype(np.float32)
    return _Ordered(top.ids[:, :width], distance[:, :width], distance[:, width:], counts, top.held.clip(max=width))


def _masses(tokens: _Ordered, temperature: float) -> tuple[Float64, Float64]:
    """Return the sums of exp(-distance / T) over the first k and over all others, (T, K) each, for k = 1..K."""
    weights = np.exp(-tokens.distance.astype(np.float64) / temperature)
    return weights.cumsum(axis=1), _sums_behind(weights, _scaled_sum(tokens.rest, temperature, tokens.counts))


def _scaled_sum(rest: Float32, temperature: float, factor: Float32 | float) -> Float64:
    """Return the sum of factor · exp(-rest / T) of each row, (T,): float32 exponentials that cannot all underflow."""
    least = rest.min(axis=1, initial=FARTHEST, keepdims=True)
    summed: Float64 = (factor * np.exp((least - rest) / temperature)).sum(axis=1, dtype=np.float64)
    total: Float64 = summed * np.exp(-least[:, 0].astype(np.float64) / temperature)
    return total


def _sums_behind(values: Float64, rest: Float64) -> Float64:
    """Return what lies behind each of the values in a row, `rest` included, (T, K); summed from the small end."""
    columns = np.concatenate([values[:, 1:], rest[:, None]], axis=1)
    return columns[:, ::-1].cumsum(axis=1)[:, ::-1]
