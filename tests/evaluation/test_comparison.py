"""The comparison with the baseline: planted and absent differences, seeds, and the file that the report reads."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from numpy.typing import NDArray

from assertkd.errors import UserError
from assertkd.evaluation.comparison import compare_models
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


def test_shuffled_predictions_of_two_variants_do_not_differ_significantly(tmp_path: Path) -> None:
    """Of every example one model's value goes to one variant and the other's to the other, by the toss of a coin."""
    rng = np.random.default_rng(1)
    better, worse = scores(rng, 0.7), scores(rng, 0.4)
    significant = dict.fromkeys(METRICS, 0)
    for number in range(20):
        swapped = rng.random(N) < 0.5
        one = {name: np.where(swapped, better[name], worse[name]) for name in METRICS}
        other = {name: np.where(swapped, worse[name], better[name]) for name in METRICS}
        folder = tmp_path / str(number)
        models = [write_scores(folder, student("a"), one), write_scores(folder, student("b"), other)]
        for name, figure in compare_models(models, folder, "a", 2000, number).variants["b"].items():
            assert figure.difference is not None
            significant[name] += figure.difference.significant
    # One of twenty is what a level of 5 % promises; four or more of them come once in sixty such tests.
    assert all(count <= 3 for count in significant.values())
    # The coin is what hides it.
    models = [write_scores(tmp_path / "true", student(name), each) for name, each in (("a", worse), ("b", better))]
    found = compare_models(models, tmp_path / "true", "a", 2000)
    assert all(each.difference is not None and each.difference.significant for each in found.variants["b"].values())


def test_a_planted_difference_is_found_beside_eight_that_are_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    base = scores(rng, 0.5)
    models = [write_scores(tmp_path, student("base"), base)]
    for number in range(8):
        moved = rng.permutation(N)[:60]
        other = {name: column.copy() for name, column in base.items()}
        for column in other.values():
            column[moved] = column[rng.permutation(moved)]
        models.append(write_scores(tmp_path, student(f"same{number}"), other))
    planted = {name: column.copy() for name, column in base.items()}
    wrong = np.flatnonzero(planted["exact_match"] == 0)[:30]
    planted["exact_match"][wrong] = 1.0
    models.append(write_scores(tmp_path, student("planted"), planted))
    found = compare_models(models, tmp_path, "base")
    significant = {
        (variant, name)
        for variant, figures in found.variants.items()
        for name, figure in figures.items()
        if figure.difference is not None and figure.difference.significant
    }
    assert significant == {("planted", "exact_match")}
    difference = found.variants["planted"]["exact_match"].difference
    assert difference is not None
    assert difference.mean == pytest.approx(30 / N)
    # The resampled sum of 30 ones among N zeros is binomial.
    spread = 1.96 * np.sqrt(30 * (1 - 30 / N)) / N
    assert (difference.low, difference.high) == pytest.approx((30 / N - spread, 30 / N + spread), abs=0.006)
    assert difference.p <= difference.p_holm <= 9 * difference.p
    assert found.variants["base"]["f1"].difference is None
    same = found.variants["planted"]["f1"].difference
    assert same is not None
    assert (same.mean, same.p, same.significant) == (0.0, 1.0, False)


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
    # With one of these seeds alone, the same difference would pass for a gain.
    one = compare_models([student("base", 3), student("wild", 3)], tmp_path, "base")
    alone, together = one.variants["wild"]["exact_match"].difference, wild.difference
    assert alone is not None
    assert together is not None
    assert alone.significant
    assert not together.significant


def test_resampled_seeds_are_drawn_with_replacement() -> None:
    weights = resampled_seeds(3, 30_000, 1)
    assert weights.sum(axis=1) == pytest.approx(np.ones(30_000))
    # All three the same: 3 of 27 draws; all different: 6 of 27.
    assert (weights.max(axis=1) == 1).mean() == pytest.approx(3 / 27, abs=0.01)
    assert (weights == 1 / 3).all(axis=1).mean() == pytest.approx(6 / 27, abs=0.01)
    assert resampled_seeds(1, 5, 1).tolist() == [[1.0]] * 5


def test_the_teacher_stands_beside_every_seed_of_the_baseline(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    teacher, first, second = scores(rng, 0.8), scores(rng, 0.4), scores(rng, 0.5)
    models = [
        write_scores(tmp_path, "teacher", teacher),
        write_scores(tmp_path, student("base", 1), first),
        write_scores(tmp_path, student("base", 2), second),
    ]
    found = compare_models(models, tmp_path, "base", 500)
    assert found.teacher is not None
    figure = found.teacher["exact_match"]
    assert figure.sd is None
    assert figure.difference is not None
    gap = teacher["exact_match"].mean() - (first["exact_match"].mean() + second["exact_match"].mean()) / 2
    assert figure.difference.mean == pytest.approx(gap)
    assert figure.difference.significant
    assert list(found.variants) == ["base"]


def test_differences_pair_the_seeds_that_both_have(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = {name: scores(rng, 0.5) for name in ("base1", "base2", "new2", "other7")}
    models = [write_scores(tmp_path, student(name[:-1], int(name[-1])), each) for name, each in values.items()]
    found = compare_models(models, tmp_path, "base", 500)
    difference = found.variants["new"]["f1"].difference
    assert difference is not None
    assert difference.mean == pytest.approx(values["new2"]["f1"].mean() - values["base2"]["f1"].mean())
    assert found.variants["other"]["f1"].difference is None


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
    assert set(value["variants"]["b"]["f1"]["difference"]) == {"mean", "low", "high", "p", "p_holm", "significant"}
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
