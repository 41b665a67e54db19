"""How far a mean over test examples may be trusted: percentile bootstrap intervals (Efron 1979)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
CELLS_AT_ONCE = 4_000_000
"""Resampled indices held at a time; bounds the memory of a bootstrap at about 100 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over examples and the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """Return the three figures by name."""
        return asdict(self)


def bootstrap_intervals(values: NDArray[np.float64], resamples: int, seed: int, level: float = LEVEL) -> list[Interval]:
    """Return the mean of every column with its percentile bootstrap interval.

    Every resample draws n examples with replacement and takes all columns along, so that columns which belong to the
    same examples (two models' figures, or their difference) stay paired.

    Args:
        values: shape (n, m), n >= 1: one row an example, one column a metric.
        resamples: number of resamples.
        seed: of the draws; the same n, resamples and seed draw the same examples.
        level: share of resampled means between the bounds.
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, CELLS_AT_ONCE // n)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, n, (count, n)) + np.arange(count)[:, None] * n
        times_drawn = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        means[start : start + count] = times_drawn @ values / n
    tail = (1 - level) / 2 * 100
    lows, highs = np.percentile(means, [tail, 100 - tail], axis=0)
    return [
        Interval(float(mean), float(low), float(high))
        for mean, low, high in zip(values.mean(axis=0), lows, highs, strict=True)
    ]
