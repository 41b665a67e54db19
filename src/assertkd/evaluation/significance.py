"""Uncertainty of means over test examples: percentile bootstrap, paired p-values, Holm's correction."""

from dataclasses import dataclass

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


def bootstrap_intervals(values: Floats, resamples: int, seed: int) -> list[Interval]:
    """Return the mean of every column with its percentile bootstrap interval (Efron 1979); see `resampled_means`."""
    return intervals(values.mean(axis=0), resampled_means(values, resamples, seed))


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


def intervals(means: Floats, resampled: Floats) -> list[Interval]:
    """Return means (m,) with the percentiles of their resamples (resamples, m) that hold `LEVEL` between them."""
    tail = (1 - LEVEL) / 2 * 100
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


def holm(p_values: Floats) -> Floats:
    """Return p-values (k, m), column by column, corrected for their number k (Holm 1979), each at most 1.

    Rejecting those below 0.05 keeps the chance of even one false rejection at 5 % or less, however the tests depend on
    each other.
    """
    order = p_values.argsort(axis=0)
    left = np.arange(len(p_values), 0, -1)[:, None]
    reached = np.maximum.accumulate(np.minimum(1.0, left * np.take_along_axis(p_values, order, axis=0)), axis=0)
    return np.take_along_axis(reached, order.argsort(axis=0), axis=0)
