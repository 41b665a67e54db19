"""Uncertainty of means over test examples: percentile bootstrap, paired p-values, Holm's correction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
CELLS_AT_ONCE = 4_000_000
"""Resampled indices in memory at a time; bounds the memory of a bootstrap at about 100 MB."""

ROUNDING = 1e-12
"""Smaller differences count as 0: means of shares differ by 1/n or not at all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over examples and the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """Return the three figures by name."""
        return asdict(self)


def bootstrap_intervals(values: Floats, resamples: int, seed: int, level: float = LEVEL) -> list[Interval]:
    """Return the mean of every column with its percentile bootstrap interval (Efron 1979).

    Args:
        values: shape (n, m), n >= 1: one row an example, one column a metric.
        resamples: number of resamples.
        seed: of the draws; the same n, resamples and seed draw the same examples.
        level: share of resampled means between the bounds.
    """
    return intervals(values.mean(axis=0), resampled_means(values, resamples, seed), level)


def resampled_means(values: Floats, resamples: int, seed: int) -> Floats:
    """Return the mean of every column in every resample, shape (resamples, m).

    Every resample draws n examples with replacement and takes all columns along, so that columns which belong to the
    same examples (two models' figures, or their difference) stay paired.

    Args:
        values: shape (n, m), n >= 1: one row an example, one column a metric.
        resamples: number of resamples.
        seed: of the draws; the same n, resamples and seed draw the same examples.
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, CELLS_AT_ONCE // n)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        indices = rng.integers(0, n, (count, n)) + np.arange(count)[:, None] * n
        counts = np.bincount(indices.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)
        means[start : start + count] = counts @ values / n
    return means


def resampled_seeds(seeds: int, resamples: int, seed: int) -> Floats:
    """Return the weight of every training seed in every resample, shape (resamples, seeds), each row with sum 1.

    Args:
        seeds: S, the number of training seeds; a resample draws S of them with replacement.
        resamples: number of resamples.
        seed: of the draws, which are independent of those of `resampled_means` with the same seed.
    """
    rng = np.random.default_rng([seed, seeds])
    return rng.multinomial(seeds, [1 / seeds] * seeds, size=resamples) / seeds


def intervals(means: Floats, resampled: Floats, level: float = LEVEL) -> list[Interval]:
    """Return means (m,) with the percentiles of their resamples (resamples, m) that hold `level` between them."""
    tail = (1 - level) / 2 * 100
    lows, highs = np.percentile(resampled, [tail, 100 - tail], axis=0)
    return [Interval(float(mean), float(low), float(high)) for mean, low, high in zip(means, lows, highs, strict=True)]


def paired_p_values(differences: Floats, resampled: Floats) -> Floats:
    """Return for every column the two-sided p-value of its mean difference being 0, shape (m,), in (0, 1].

    The bootstrap of the centred differences (Efron & Tibshirani 1993, section 16.4): how often a resampled mean is
    as far from the observed one as that is from 0, the observed one counted as one of the resamples. Where few
    examples differ at all, resampling cannot tell chance from an effect; so p is never below 2^(1-k), that of the
    sign test when all k differing examples favour the same side.

    Args:
        differences: shape (n, m): one model's value minus the other's, of the same example.
        resampled: shape (resamples, m): its resampled means.
    """
    observed = differences.mean(axis=0)
    as_far = np.abs(resampled - observed) >= np.abs(observed) - ROUNDING
    p = (1 + as_far.sum(axis=0)) / (1 + len(resampled))
    differing = (np.abs(differences) > ROUNDING).sum(axis=0)
    floor = np.minimum(1.0, 2.0 ** (1 - np.minimum(differing, 1000)))
    return np.where(differing == 0, 1.0, np.maximum(p, floor))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979), in the same order, each at most 1.

    Rejecting those below 0.05 keeps the chance of even one false rejection at 5 % or less, however the tests depend on
    each other.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(order):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = reached
    return corrected
