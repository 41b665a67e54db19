"""The comparison with the baseline: planted and absent differences, seeds, and the file that the report reads."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from assertkd.errors import UserError
from assertkd.evaluation.comparison import Comparison, Difference, compare_models
from assertkd.evaluation.significance import resampled_means, resampled_seeds
from assertkd.files import write_json

Values = Mapping[str, NDArray[np.float64]]
METRICS = ("exact_match", "f1")
N = 300


def write_scores(folder: Path, model: str, values: Values, ids: list[str] | None = None) -> str:
    """Write a model's `metrics_final.csv` and return the model."""
    (folder / model).mkdir(parents=True)
    count = len(next(iter(values.values())))
    with (folder / model / "metrics_final.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", *values])
        for row, name in enumerate(ids or [f"r{index}" for index in range(count)]):
            writer.writerow([name, *(column[row] for column in values.values())])
    return model


def scores(rng: np.random.Generator, share: float) -> dict[str, NDArray[np.float64]]:
    """Return values of N examples, of which about `share` are right."""
    right = (rng.random(N) < share).astype(float)
    return {"exact_match": right, "f1": np.clip(right * 0.5 + rng.random(N) * 0.5, 0, 1)}


def student(variant: str, seed: int = 42) -> str:
    return f"students/{variant}/seed{seed}"


def by_seeds(folder: Path, variant: str, means: Sequence[float], shift: int = 0) -> list[str]:
    """Write a variant of which each seed is right on the given share of examples, and return its models."""
    models = []
    for seed, mean in enumerate(means, start=1):
        right = np.roll((np.arange(N) < round(mean * N)).astype(float), shift)
        models.append(write_scores(folder, student(variant, seed), {"exact_match": right, "f1": (1 + right) / 2}))
    return models


BASE = [0.50, 0.52, 0.54]


def test_variants_are_tested_over_their_seeds(tmp_path: Path) -> None:
    shares = {"gain": [0.60, 0.63, 0.66], "loss": [0.40, 0.42, 0.41, 0.43], "alike": [0.51, 0.55, 0.53]}
    models = by_seeds(tmp_path, "base", BASE)
    models += [model for name, means in shares.items() for model in by_seeds(tmp_path, name, means)]
    found = compare_models(models, tmp_path, "base", 200)
    expected = {name: stats.ttest_ind(means, BASE, equal_var=False) for name, means in shares.items()}
    p_values = sorted(one.pvalue for one in expected.values())
    corrected = np.maximum.accumulate(np.array(p_values) * [3, 2, 1])
    for name, test in expected.items():
        difference = difference_of(found, name)
        assert difference.test == "welch"
        assert difference.reason is None
        assert difference.p == pytest.approx(test.pvalue)
        assert difference.p_holm == pytest.approx(corrected[p_values.index(test.pvalue)])
        assert (difference.low, difference.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
        assert difference.significant == (name != "alike")
    assert found.variants["base"]["f1"].difference is None


@pytest.mark.parametrize(("own", "other"), [(1, 1), (2, 3), (3, 2)])
def test_fewer_than_three_seeds_are_not_tested(tmp_path: Path, own: int, other: int) -> None:
    """However large the difference; the interval is that of these models over the examples."""
    models = [*by_seeds(tmp_path, "base", BASE[:other]), *by_seeds(tmp_path, "gain", [0.8, 0.81, 0.82][:own])]
    found = compare_models(models, tmp_path, "base")
    difference = difference_of(found, "gain")
    assert (difference.test, difference.p, difference.p_holm, difference.significant) == (None, None, None, None)
    side = "baseline" if other < 3 else "variant"
    assert difference.reason == f"fewer than 3 seeds of the {side}"
    assert difference.mean == pytest.approx(fmean([0.8, 0.81, 0.82][:own]) - fmean(BASE[:other]), abs=0.01)
    # The examples between the two shares are those that differ, and their resampled number is binomial.
    spread = 1.96 * np.sqrt(difference.mean * (1 - difference.mean) / N)
    bounds = difference.mean - spread, difference.mean + spread
    assert (difference.low, difference.high) == pytest.approx(bounds, abs=0.01)


def test_untested_variants_do_not_weaken_the_tested(tmp_path: Path) -> None:
    models = [*by_seeds(tmp_path, "base", BASE), *by_seeds(tmp_path, "gain", [0.60, 0.63, 0.66])]
    alone = compare_models(models, tmp_path, "base", 200)
    more = [*models, *by_seeds(tmp_path, "once", [0.7])]
    difference = difference_of(compare_models(more, tmp_path, "base", 200), "gain")
    assert difference == difference_of(alone, "gain")
    assert difference.p == difference.p_holm


def test_means_without_deviation_are_tested_only_if_equal(tmp_path: Path) -> None:
    models = [
        *by_seeds(tmp_path, "base", [0.5] * 3),
        *by_seeds(tmp_path, "other", [0.6] * 3),
        *by_seeds(tmp_path, "same", [0.5] * 3, shift=20),
    ]
    found = compare_models(models, tmp_path, "base", 500)
    other, same = difference_of(found, "other"), difference_of(found, "same")
    assert (other.test, other.p, other.significant, other.reason) == (None, None, None, "all seeds have the same mean")
    assert other.low < 0.1 < other.high
    assert (same.test, same.p, same.significant) == ("welch", 1.0, False)


def difference_of(found: Comparison, variant: str) -> Difference:
    difference = found.variants[variant]["exact_match"].difference
    assert difference is not None
    return difference


def test_several_seeds_have_their_mean_spread_and_a_wider_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    by_seed = {seed: scores(rng, share) for seed, share in ((1, 0.3), (2, 0.5), (3, 0.7))}
    base = scores(rng, 0.5)
    models = [write_scores(tmp_path, student("base", seed), base) for seed in by_seed]
    models += [write_scores(tmp_path, student("wild", seed), values) for seed, values in by_seed.items()]
    found = compare_models(models, tmp_path, "base")
    assert found.seeds == {"base": [1, 2, 3], "wild": [1, 2, 3]}
    means = [float(values["exact_match"].mean()) for values in by_seed.values()]
    wild, steady = found.variants["wild"]["exact_match"], found.variants["base"]["exact_match"]
    assert wild.mean == pytest.approx(fmean(means))
    assert wild.sd == pytest.approx(stdev(means))
    assert steady.sd == pytest.approx(0.0)
    assert wild.high - wild.low > 2 * (steady.high - steady.low)
    # The means of three seeds resampled: their spread is what the interval mostly consists of.
    weights = resampled_seeds(3, 10_000, 5)
    drawn = weights @ np.array(means)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert wild.low == pytest.approx(low, abs=0.06)
    assert wild.high == pytest.approx(high, abs=0.06)
    difference = difference_of(found, "wild")
    assert not difference.significant
    assert difference.high - difference.low > 0.5


def test_resampled_seeds_are_drawn_with_replacement() -> None:
    weights = resampled_seeds(3, 30_000, 1)
    assert weights.sum(axis=1) == pytest.approx(np.ones(30_000))
    # All three the same: 3 of 27 draws; all different: 6 of 27.
    assert (weights.max(axis=1) == 1).mean() == pytest.approx(3 / 27, abs=0.01)
    assert (weights == 1 / 3).all(axis=1).mean() == pytest.approx(6 / 27, abs=0.01)
    assert resampled_seeds(1, 5, 1).tolist() == [[1.0]] * 5


def test_the_one_trained_teacher_is_set_against_the_baselines_seeds(tmp_path: Path) -> None:
    right = (np.arange(N) < 0.6 * N).astype(float)
    teacher = write_scores(tmp_path, "teacher", {"exact_match": right, "f1": right})
    models = [teacher, *by_seeds(tmp_path, "base", BASE), *by_seeds(tmp_path, "gain", [0.60, 0.63, 0.66])]
    found = compare_models(models, tmp_path, "base", 200)
    assert found.teacher is not None
    figure = found.teacher["exact_match"]
    assert figure.sd is None
    assert figure.difference is not None
    expected = stats.ttest_1samp(BASE, 0.6)
    assert figure.difference.test == "one_sample_t"
    assert figure.difference.p == figure.difference.p_holm == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (figure.difference.low, figure.difference.high) == pytest.approx((0.6 - high, 0.6 - low))
    # It is not one of the variants that Holm's correction counts.
    assert difference_of(found, "gain").p == difference_of(found, "gain").p_holm


def test_other_systems_are_tested_like_the_teacher_and_corrected_among_themselves(tmp_path: Path) -> None:
    shares = {"far": 0.7, "near": 0.55}
    models = [*by_seeds(tmp_path, "base", BASE), *by_seeds(tmp_path, "gain", [0.60, 0.63, 0.66])]
    alone = compare_models(models, tmp_path, "base", 200)
    for name, share in shares.items():
        right = (np.arange(N) < round(share * N)).astype(float)
        models.append(write_scores(tmp_path, f"external/{name}", {"exact_match": right, "f1": right}))
    found = compare_models(models, tmp_path, "base", 200)
    assert (list(found.external), list(found.seeds), found.teacher) == (["far", "near"], ["base", "gain"], None)
    assert found.variants == alone.variants, "they change no verdict on a variant"
    figures = {name: found.external[name]["exact_match"] for name in shares}
    expected = {name: stats.ttest_1samp(BASE, share).pvalue for name, share in shares.items()}
    assert expected["far"] < expected["near"]
    for name, times in (("far", 2), ("near", 1)):
        difference = figures[name].difference
        assert difference is not None
        assert (figures[name].sd, difference.test) == (None, "one_sample_t")
        assert difference.p == pytest.approx(expected[name])
        assert difference.p_holm == pytest.approx(min(1.0, times * expected[name]))


def test_two_seeds_of_the_baseline_do_not_test_the_teacher(tmp_path: Path) -> None:
    values = scores(np.random.default_rng(4), 0.9)
    models = [write_scores(tmp_path, "teacher", values), *by_seeds(tmp_path, "base", BASE[:2])]
    found = compare_models(models, tmp_path, "base", 200)
    assert found.teacher is not None
    difference = found.teacher["exact_match"].difference
    assert difference is not None
    assert (difference.test, difference.p, difference.significant) == (None, None, None)
    assert difference.reason == "fewer than 3 seeds of the baseline"
    assert difference.low < difference.mean < difference.high


def test_a_baseline_without_scores_leaves_the_differences_out(tmp_path: Path) -> None:
    models = [write_scores(tmp_path, student("a"), scores(np.random.default_rng(6), 0.5))]
    for baseline in ("absent", None):
        found = compare_models(models, tmp_path, baseline, 100)
        assert found.baseline is None
        assert found.teacher is None
        assert all(figure.difference is None for figure in found.variants["a"].values())


def test_the_file_holds_what_was_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    models = [write_scores(tmp_path, name, scores(rng, 0.5)) for name in ("teacher", student("a"), student("b"))]
    found = compare_models(models, tmp_path, "a", 200, 9)
    write_json(tmp_path / "significance.json", found.as_dict())
    value = json.loads((tmp_path / "significance.json").read_text())
    assert value == found.as_dict()
    assert value["baseline"] == "a"
    assert (value["examples"], value["level"], value["resamples"], value["bootstrap_seed"]) == (N, 0.95, 200, 9)
    assert list(value["variants"]["b"]) == list(METRICS)
    difference = value["variants"]["b"]["f1"]["difference"]
    names = ["mean", "low", "high", "test", "reason", "p", "p_holm", "significant", "unequal_steps"]
    assert list(difference) == names
    assert [difference[name] for name in ("test", "p", "p_holm", "significant")] == [None] * 4
    assert value["variants"]["a"]["f1"]["difference"] is None
    # The figures of one seed are those of its own summary: the same draws.
    (_, column) = scores(np.random.default_rng(7), 0.5).values()
    drawn = resampled_means(column[:, None], 200, 9)
    assert value["teacher"]["f1"]["low"] == pytest.approx(np.percentile(drawn, 2.5))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no such file"),
        ("", "not a table of metrics"),
        ("id,f1\n", "not a table of metrics"),
        ("id,f1\na,x\n", "not a table of metrics"),
        ("id,f1\na,1,2\n", "not a table of metrics"),
        ("id,f1\nq0,1\n", "holds other metrics"),
        ("id,exact_match,f1\nq0,1,1\n", "holds other examples"),
    ],
)
def test_scores_that_are_broken_or_do_not_fit_are_named(tmp_path: Path, text: str | None, problem: str) -> None:
    write_scores(tmp_path, student("a"), scores(np.random.default_rng(8), 0.5))
    path = tmp_path / student("b") / "metrics_final.csv"
    if text is not None:
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(UserError) as fault:
        compare_models([student("a"), student("b")], tmp_path, "a", 100)
    assert str(path) in fault.value.problem
    assert problem in fault.value.problem


def test_no_models_are_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no scores to compare"):
        compare_models([], tmp_path, "a")
