"""Bootstrap intervals against closed forms, tests over seeds against scipy and against simulated runs."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from assertkd.evaluation import significance
from assertkd.evaluation.significance import bootstrap_intervals, holm, welch
from false_positives import HIGHEST, of_pooled_t, of_welch, simulate


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

    def test_what_was_not_tested_does_not_count(self) -> None:
        corrected = holm(column([0.02, np.nan, 0.01]))[:, 0]
        assert corrected[[0, 2]].tolist() == [0.02, 0.02]
        assert np.isnan(corrected[1])

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


class TestWelch:
    @pytest.mark.parametrize(("own", "other"), [(3, 3), (3, 8), (5, 4)])
    def test_against_scipys_test(self, own: int, other: int) -> None:
        rng = np.random.default_rng([own, other])
        first, second = 0.1 * rng.normal(size=(own, 6)), 0.3 * rng.normal(size=(other, 6)) + 0.2
        intervals, p_values = welch(first, second)
        expected = stats.ttest_ind(first, second, equal_var=False)
        bounds = expected.confidence_interval(0.95)
        assert p_values == pytest.approx(expected.pvalue)
        assert [one.low for one in intervals] == pytest.approx(bounds.low)
        assert [one.high for one in intervals] == pytest.approx(bounds.high)
        assert [one.mean for one in intervals] == pytest.approx(first.mean(axis=0) - second.mean(axis=0))

    def test_one_row_is_a_known_value(self) -> None:
        seeds = np.random.default_rng(1).normal(size=(4, 3))
        [*intervals], p_values = welch(np.array([[0.5, -1.0, 2.0]]), seeds)
        expected = stats.ttest_1samp(seeds, [0.5, -1.0, 2.0])
        assert p_values == pytest.approx(expected.pvalue)
        assert [0.5 - intervals[0].high, 0.5 - intervals[0].low] == pytest.approx(
            [bound[0] for bound in expected.confidence_interval(0.95)]
        )

    def test_a_side_without_deviation_leaves_it_to_the_other(self) -> None:
        seeds = np.array([[0.2], [0.4], [0.5], [0.9]])
        # 0.1 is no binary fraction: its mean over three rows is off by rounding.
        _, p_values = welch(np.full((3, 1), 0.1), seeds)
        assert p_values == pytest.approx(stats.ttest_1samp(seeds, 0.1).pvalue)

    @pytest.mark.filterwarnings("error")
    def test_without_any_deviation_only_equal_means_have_a_p_value(self) -> None:
        intervals, p_values = welch(np.full((3, 2), 0.1), np.tile([0.1, 0.3], (5, 1)))
        assert p_values[0] == 1.0
        assert np.isnan(p_values[1])
        assert (intervals[1].low, intervals[1].high) == pytest.approx((-0.2, -0.2))

    @pytest.mark.parametrize("deviations", [(0.0, 0.0), (3.0, 3.0), (3.0, 1.0), (1.0, 3.0)])
    def test_false_positives_are_as_rare_as_the_level_says(self, deviations: tuple[float, float]) -> None:
        means = simulate(300, 3, deviations, np.random.default_rng(2)).mean(axis=3, dtype=np.float64)
        # 2,400 differences, those of a run dependent: a standard error of about a point.
        assert 0.01 < (of_welch(means) < 0.05).mean() < HIGHEST + 0.02
        if deviations == (3.0, 1.0):
            # The simulation can tell: one variance for all variants is not good enough.
            assert (of_pooled_t(means) < 0.05).mean() > 0.1
