"""Bootstrap intervals against closed forms."""

import numpy as np
import pytest
from numpy.typing import NDArray

from assertkd.evaluation import significance
from assertkd.evaluation.significance import bootstrap_intervals


def column(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[:, None]


@pytest.mark.parametrize(("hits", "n"), [(120, 400), (200, 400), (15, 60)])
def test_bernoulli_mean_has_the_binomial_quantiles(hits: int, n: int) -> None:
    """A resampled mean of 0/1 values is Binomial(n, p)/n exactly, so its quantiles are known."""
    [interval] = bootstrap_intervals(column([1.0] * hits + [0.0] * (n - hits)), 20_000, seed=1)
    p = hits / n
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    log_binomial = log_factorials[n] - log_factorials[k] - log_factorials[n - k]
    distribution = np.cumsum(np.exp(log_binomial + k * np.log(p) + (n - k) * np.log1p(-p)))
    low, high = (int(np.searchsorted(distribution, tail)) / n for tail in (0.025, 0.975))
    assert interval.mean == pytest.approx(p)
    assert interval.low == pytest.approx(low, abs=1.01 / n)
    assert interval.high == pytest.approx(high, abs=1.01 / n)


def test_other_levels() -> None:
    values = np.random.default_rng(0).normal(size=(500, 1))
    [interval] = bootstrap_intervals(values, 20_000, seed=2, level=0.5)
    # The quartiles of a normal distribution lie 0.6745 standard deviations from its mean.
    standard_error = values.std() / np.sqrt(500)
    assert interval.high - interval.mean == pytest.approx(0.6745 * standard_error, rel=0.05)
    assert interval.mean - interval.low == pytest.approx(0.6745 * standard_error, rel=0.05)


def test_constants_have_no_width() -> None:
    [zeros, ones] = bootstrap_intervals(np.tile([0.0, 1.0], (30, 1)), 500, seed=3)
    assert (zeros.low, zeros.mean, zeros.high) == (0.0, 0.0, 0.0)
    assert (ones.low, ones.mean, ones.high) == (1.0, 1.0, 1.0)


def test_columns_stay_paired() -> None:
    """Two models that differ by a constant: resampled together, their difference has no width."""
    one = np.random.default_rng(4).random(100)
    first, second, difference = bootstrap_intervals(np.stack([one, one - 0.25, one - (one - 0.25)], axis=1), 1000, 5)
    assert first.low - second.low == pytest.approx(0.25)
    assert difference.low == pytest.approx(0.25)
    assert difference.high == pytest.approx(0.25)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(6).random((50, 2))
    assert bootstrap_intervals(values, 300, seed=7) == bootstrap_intervals(values, 300, seed=7)
    assert bootstrap_intervals(values, 300, seed=7) != bootstrap_intervals(values, 300, seed=8)


def test_one_example_is_enough() -> None:
    [interval] = bootstrap_intervals(column([0.3]), 10, seed=9)
    assert interval.low == interval.high == pytest.approx(0.3)


def test_what_is_held_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(10).random((40, 2))
    whole = bootstrap_intervals(values, 1000, seed=11)
    monkeypatch.setattr(significance, "CELLS_AT_ONCE", 40 * 7)
    for one, other in zip(whole, bootstrap_intervals(values, 1000, seed=11), strict=True):
        assert one.as_dict() == pytest.approx(other.as_dict())
