"""Uncertainty: the bootstrap over test examples of a trained model, and Welch's t-test over seeds of variants."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

LEVEL = 0.95
CELLS_AT_ONCE = 4_000_000
"""Resampled indices in memory at a time; bounds the memory of a bootstrap at about 100 MB."""

ROUNDING = 1e-12
"""Smaller differences count as 0: means of shares differ by 1/n or not at all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, or a difference of means, and the bounds of its interval."""

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


def welch(own: Floats, other: Floats) -> tuple[list[Interval], Floats]:
    """Return own mean minus the other's for every column, with its t interval, and the two-sided p-values (m,).

    Welch's t-test of unequal variances with Satterthwaite's degrees of freedom (Welch 1947). A side of one row has no
    variance: its value is known, and the test is Student's of the other side against it. Where neither side varies,
    the interval has no width and p is 1 for equal means, NaN for others.

    Args:
        own, other: shapes (S, m) and (T, m): one row a seed's mean, one column a metric.
    """
    difference = own.mean(axis=0) - other.mean(axis=0)
    first, second = _squared_standard_error(own), _squared_standard_error(other)
    error = np.sqrt(first + second)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (first + second) ** 2 / (first**2 / max(1, len(own) - 1) + second**2 / max(1, len(other) - 1))
        p = 2 * stats.t.sf(np.abs(difference) / error, freedom)
        half_width = stats.t.ppf((1 + LEVEL) / 2, freedom) * error
    varies = error > 0
    p = np.where(varies, p, np.where(np.abs(difference) <= ROUNDING, 1.0, np.nan))
    half_width = np.where(varies, half_width, 0.0)
    bounds = zip(difference, difference - half_width, difference + half_width, strict=True)
    return [Interval(*map(float, one)) for one in bounds], p


def _squared_standard_error(values: Floats) -> Floats:
    """Return the variance of every column's mean, shape (m,): 0 for one row, and where rows differ by rounding only."""
    if len(values) == 1:
        return np.zeros(values.shape[1])
    return np.where(np.ptp(values, axis=0) <= ROUNDING, 0.0, values.var(axis=0, ddof=1) / len(values))


def holm(p_values: Floats) -> Floats:
    """Return p-values (k, m), column by column, corrected for their number (Holm 1979), each at most 1.

    Rejecting those below 0.05 keeps the chance of even one false rejection at 5 % or less, however the tests depend on
    each other. NaN stays NaN and does not count.
    """
    order = p_values.argsort(axis=0)
    # NaN comes last in the order.
    left = (~np.isnan(p_values)).sum(axis=0) - np.arange(len(p_values))[:, None]
    reached = np.maximum.accumulate(np.minimum(1.0, left * np.take_along_axis(p_values, order, axis=0)), axis=0)
    return np.take_along_axis(reached, order.argsort(axis=0), axis=0)
