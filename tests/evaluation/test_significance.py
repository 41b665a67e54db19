"""Bootstrap intervals against closed forms."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from assertkd.evaluation import significance
from assertkd.evaluation.significance import bootstrap_intervals, holm, paired_p_values, resampled_means


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


def test_other_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(500, 1))
    monkeypatch.setattr(significance, "LEVEL", 0.5)
    [interval] = bootstrap_intervals(values, 20_000, seed=2)
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
        assert asdict(one) == pytest.approx(asdict(other))


@pytest.mark.parametrize("seed", range(3))
def test_against_scipys_bootstrap(seed: int) -> None:
    values = np.random.default_rng(seed).beta(0.5, 0.3, 200)
    [interval] = bootstrap_intervals(column(values.tolist()), 20_000, seed=1)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    # The quantile of 20,000 resamples is itself known to about 0.03 standard errors.
    assert interval.low == pytest.approx(expected.low, abs=0.1 * values.std() / np.sqrt(200))
    assert interval.high == pytest.approx(expected.high, abs=0.1 * values.std() / np.sqrt(200))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(12)
    covered = 0
    for number in range(400):
        [interval] = bootstrap_intervals(rng.beta(2, 1, (80, 1)), 400, seed=number)
        covered += interval.low <= 2 / 3 <= interval.high
    # 95 % of 400 are 380; four standard deviations of chance and a little for the small samples.
    assert 355 <= covered <= 396


class TestHolm:
    def test_hand_computed(self) -> None:
        # 4 · 0.005, then 3 · 0.01, then 2 · 0.03, then 0.04, which may not fall below the one before it.
        assert holm(column([0.01, 0.04, 0.03, 0.005]))[:, 0] == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_it_stops_at_1_and_leaves_a_single_one(self) -> None:
        assert holm(column([0.5, 0.9])).tolist() == [[1.0], [1.0]]
        assert holm(column([0.04])).tolist() == [[0.04]]
        assert holm(column([])).tolist() == []

    def test_each_column_is_corrected_by_itself(self) -> None:
        columns = np.random.default_rng(16).random((6, 3))
        assert holm(columns).tolist() == np.hstack([holm(one[:, None]) for one in columns.T]).tolist()

    def test_against_the_step_down_procedure(self) -> None:
        """Holm's own words: go on rejecting the smallest while it is at most alpha / (number of those left)."""
        rng = np.random.default_rng(13)
        for _ in range(100):
            p_values = (rng.random(7) ** 3).tolist()
            for alpha in (0.01, 0.05, 0.3):
                rejected: set[int] = set()
                for rank, index in enumerate(np.argsort(p_values)):
                    if p_values[index] > alpha / (7 - rank):
                        break
                    rejected.add(int(index))
                assert {index for index, p in enumerate(holm(column(p_values))[:, 0]) if p <= alpha} == rejected


class TestPairedPValues:
    def p_of(self, differences: NDArray[np.float64], resamples: int = 20_000) -> float:
        resampled = resampled_means(differences[:, None], resamples, 1)
        return float(paired_p_values(differences[:, None], resampled)[0])

    @pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0, 3.0])
    def test_of_many_examples_it_is_the_z_test(self, shift: float) -> None:
        values = np.random.default_rng(14).normal(size=2000)
        values += shift * values.std() / np.sqrt(2000) - values.mean()
        assert self.p_of(values) == pytest.approx(2 * stats.norm.sf(shift), abs=0.012)

    def test_few_differing_examples_prove_no_more_than_the_sign_test(self) -> None:
        for differing in range(1, 7):
            values = np.zeros(500)
            values[:differing] = 1.0
            # All on one side: scipy's exact two-sided binomial test, McNemar's for two models' hits.
            assert self.p_of(values) == pytest.approx(stats.binomtest(differing, differing).pvalue, rel=0.35)
            assert self.p_of(values) >= stats.binomtest(differing, differing).pvalue - 1e-12
        assert self.p_of(np.ones(1)) == 1.0

    def test_no_difference_at_all(self) -> None:
        assert self.p_of(np.zeros(50)) == 1.0

    def test_under_the_null_small_values_are_as_rare_as_they_say(self) -> None:
        rng = np.random.default_rng(15)
        differences = rng.integers(0, 2, (150, 300)).astype(float) - rng.integers(0, 2, (150, 300))
        p_values = paired_p_values(differences, resampled_means(differences, 1000, 2))
        assert 0.02 <= (p_values < 0.05).mean() <= 0.09
        assert 0.4 <= (p_values < 0.5).mean() <= 0.6
