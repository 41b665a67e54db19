"""Every variant of a run against the baseline: intervals, deviation over seeds, and significance of differences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.errors import UserError
from assertkd.evaluation.metrics_table import read_metrics
from assertkd.evaluation.significance import (
    LEVEL,
    Floats,
    Interval,
    holm,
    intervals,
    resampled_means,
    resampled_seeds,
    welch,
)
from assertkd.layout import TEACHER, EvaluationLayout, variant_and_seed

Key = tuple[bool, str]
"""Whether it is one model without seeds (the teacher, or another system), and the name of the variant or system."""

SEEDS_NEEDED = 3
"""Seeds of a variant, and of the baseline, from which on their difference is tested."""

WELCH, ONE_SAMPLE = "welch", "one_sample_t"
"""Tests: of two variants over their seeds, and of the baseline's seeds against the one trained teacher or a system."""

FEW_SEEDS = f"fewer than {SEEDS_NEEDED} seeds of the variant"
FEW_BASELINE_SEEDS = f"fewer than {SEEDS_NEEDED} seeds of the baseline"
NO_DEVIATION = "all seeds have the same mean"
"""Reasons why a difference is not tested. In the last one's case there is no deviation to compare it with."""


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """A model's mean minus the baseline's on the same examples.

    With a test, it is one of variants (for the teacher and other systems: of this one and the baseline) and has the t
    interval over seeds. Without one, it is a difference of these trained models and has the bootstrap interval over
    examples.

    Attributes:
        test: `WELCH` for a variant, `ONE_SAMPLE` for the teacher and other systems; None where nothing could be tested.
        reason: why there is no test; None where there is one.
        p: two-sided p-value of no difference; None without a test.
        p_holm: the same, corrected for the number of variants tested on this metric, or of other systems; the teacher's
            is `p`.
        significant: `p_holm` is below 0.05; None without a test. The sign of `mean` says for which side.
        unequal_steps: mean optimizer steps of the variant and of the baseline where these differ, so that there is no
            test; None where they are equal, or not known, and for the teacher and other systems.
    """

    test: str | None
    reason: str | None
    p: float | None
    p_holm: float | None
    significant: bool | None
    unequal_steps: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Figure(Interval):
    """One metric of one variant: its mean over seeds and examples, both resampled for the interval.

    Attributes:
        sd: sample standard deviation of the seeds' means; None for one seed.
        difference: against the baseline; None for the baseline itself, and where there is none.
    """

    sd: float | None
    difference: Difference | None


Figures = dict[str, Figure]
"""Metric name to figure, in the order in which tables show them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of `compare_models`, as `significance.json` holds it.

    Attributes:
        baseline: the variant that all are compared with; None where its scores are not there.
        examples: test examples, the same for all models.
        level: of the intervals; `significant` means `p_holm` below 1 - `level`.
        resamples, bootstrap_seed: of the bootstrap.
        seeds: variant to its training seeds that were evaluated.
        variants: variant to its figures, in the order of the config.
        teacher: the teacher's figures; None where it was not evaluated.
        external: other system to its figures, in the order of the config.
    """

    baseline: str | None
    examples: int
    level: float
    resamples: int
    bootstrap_seed: int
    seeds: dict[str, list[int]]
    variants: dict[str, Figures]
    teacher: Figures | None
    external: dict[str, Figures]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values, attribute by attribute."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Scores:
    """One variant's values, (S, n, m): by seed, example and metric; one without seeds has S = 1."""

    seeds: list[int]
    values: Floats


def compare_models(
    models: Sequence[str],
    folder: Path,
    baseline: str | None,
    resamples: int = 10_000,
    seed: int = 42,
    optimizer_steps: Mapping[str, float] | None = None,
) -> Comparison:
    """Return every variant's figures over its seeds, and its differences to the baseline.

    The interval of a figure is hierarchical: a resample draws training seeds, then test examples, the same examples
    for every model, since all are evaluated on the same ones. Differences: see `Difference`.

    Args:
        models: `teacher`, `students/{variant}/seed{seed}` and `external/{system}`, as their folders below `folder`; any
            part of a run.
        folder: `results/{run}/evaluation`, where each model has a folder with its table of metrics.
        baseline: the variant to compare with; where none of its seeds is among `models`, there are no differences.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
        optimizer_steps: variant to the mean over its trainings; variants whose steps differ from the baseline's are not
            tested.

    Raises:
        UserError: a file is missing or broken, or holds other examples or metrics than the others.
    """
    names, ids, groups = _read_all(models, folder)
    columns = np.concatenate([scores.values for scores in groups.values()])
    flat = columns.transpose(1, 0, 2).reshape(len(ids), -1)
    resampled = resampled_means(flat, resamples, seed).reshape(resamples, len(columns), len(names))
    places = np.cumsum([0, *(len(scores.values) for scores in groups.values())])
    means = {name: resampled[:, start:end] for name, start, end in zip(groups, places[:-1], places[1:], strict=True)}

    base = (False, baseline) if baseline is not None and (False, baseline) in groups else None
    differences = {} if base is None else _differences(groups, means, base, optimizer_steps or {})

    def figures(key: Key) -> Figures:
        scores = groups[key]
        by_seed = scores.values.mean(axis=1)
        own = intervals(by_seed.mean(axis=0), _over_seeds(means[key], resamples, seed))
        deviations = by_seed.std(axis=0, ddof=1).tolist() if len(by_seed) > 1 else [None] * len(names)
        against = differences.get(key, [None] * len(names))
        return {
            name: Figure(one.mean, one.low, one.high, sd, difference)
            for name, one, sd, difference in zip(names, own, deviations, against, strict=True)
        }

    students = [name for is_single, name in groups if not is_single]
    systems = [name for is_single, name in groups if is_single and name != TEACHER]
    return Comparison(
        baseline=None if base is None else baseline,
        examples=len(ids),
        level=LEVEL,
        resamples=resamples,
        bootstrap_seed=seed,
        seeds={name: groups[False, name].seeds for name in students},
        variants={name: figures((False, name)) for name in students},
        teacher=figures((True, TEACHER)) if (True, TEACHER) in groups else None,
        external={name: figures((True, name)) for name in systems},
    )


def _over_seeds(means: Floats, resamples: int, seed: int) -> Floats:
    """Return resampled means (resamples, S, m) weighted by resampled seeds, shape (resamples, m)."""
    weights = resampled_seeds(means.shape[1], resamples, seed)
    weighted: Floats = (weights[:, :, None] * means).sum(axis=1)
    return weighted


def _differences(
    groups: Mapping[Key, _Scores], resampled: Mapping[Key, Floats], base: Key, steps: Mapping[str, float]
) -> dict[Key, list[Difference | None]]:
    """Return every other model's differences to the baseline, metric by metric.

    Args:
        groups: the scores.
        resampled: means over resampled examples, (resamples, S, m).
        base: the baseline's key.
        steps: variant to its mean optimizer steps.
    """
    unequal = {key: _unequal_steps(steps, key, base) for key in groups}
    by_seed = {key: scores.values.mean(axis=1) for key, scores in groups.items()}
    reasons = {
        key: f"unequal budgets ({format_steps(*pair)})" if (pair := unequal[key]) else _too_few_seeds(groups, key, base)
        for key in groups
        if key != base
    }
    tested = {key: welch(by_seed[key], by_seed[base]) for key, reason in reasons.items() if reason is None}
    untested = np.full(by_seed[base].shape[1], np.nan)
    corrected: dict[Key, Floats] = {}
    for is_single in (False, True):
        family = [key for key in tested if key[0] == is_single and key[1] != TEACHER]
        p_of_family = np.array([tested[key][1] for key in family]).reshape(-1, len(untested))
        corrected |= dict(zip(family, holm(p_of_family), strict=True))
    differences: dict[Key, list[Difference | None]] = {}
    for key, reason in reasons.items():
        mean = by_seed[key].mean(axis=0) - by_seed[base].mean(axis=0)
        over_examples = intervals(mean, resampled[key].mean(axis=1) - resampled[base].mean(axis=1))
        over_seeds, p_values = tested.get(key, (over_examples, untested))
        differences[key] = [
            Difference(
                *(trained.mean, trained.low, trained.high),
                test=None,
                reason=reason or NO_DEVIATION,
                p=None,
                p_holm=None,
                significant=None,
                unequal_steps=unequal[key],
            )
            if np.isnan(p)
            else Difference(
                *(one.mean, one.low, one.high),
                test=ONE_SAMPLE if key[0] else WELCH,
                reason=None,
                p=float(p),
                p_holm=float(p_holm),
                significant=bool(p_holm < 1 - LEVEL),
            )
            for trained, one, p, p_holm in zip(
                over_examples, over_seeds, p_values, corrected.get(key, p_values), strict=True
            )
        ]
    return differences


def format_steps(own: float, baseline: float) -> str:
    """Return the unequal optimizer steps of a variant and of the baseline as text."""
    numbers = [f"{steps:,.1f}".removesuffix(".0") for steps in (own, baseline)]
    return f"{numbers[0]} steps against {numbers[1]}"


def _unequal_steps(steps: Mapping[str, float], key: Key, base: Key) -> tuple[float, float] | None:
    """Return a variant's optimizer steps and the baseline's where both are known and differ."""
    own, other = steps.get(key[1]), steps.get(base[1])
    return None if key[0] or own is None or other is None or own == other else (own, other)


def _too_few_seeds(groups: Mapping[Key, _Scores], key: Key, base: Key) -> str | None:
    """Return why a model cannot be tested against the baseline, or None; of one without seeds, one model is enough."""
    if len(groups[base].seeds) < SEEDS_NEEDED:
        return FEW_BASELINE_SEEDS
    return FEW_SEEDS if not key[0] and len(groups[key].seeds) < SEEDS_NEEDED else None


def _read_all(models: Sequence[str], folder: Path) -> tuple[list[str], list[str], dict[Key, _Scores]]:
    """Return metric names, example ids, and the scores by model."""
    names: list[str] = []
    ids: list[str] = []
    groups: dict[Key, tuple[list[int], list[Floats]]] = {}
    for model in models:
        path = EvaluationLayout(folder / model).table
        own_names, own_ids, values = read_metrics(path)
        if not ids:
            names, ids = own_names, own_ids
        if own_names != names or own_ids != ids:
            what = "metrics" if own_names != names else "examples"
            raise UserError(
                f"{path}: holds other {what} than {folder / models[0] / path.name}",
                "All models have to be evaluated alike: rerun `predict` and `score` for both.",
            )
        variant, seed = variant_and_seed(model)
        seeds, tables = groups.setdefault((seed is None, variant), ([], []))
        if seed is not None:
            seeds.append(seed)
        tables.append(values)
    if not ids:
        raise UserError("there are no scores to compare", "Run `score` for at least one model.")
    return names, ids, {key: _Scores(seeds, np.stack(tables)) for key, (seeds, tables) in groups.items()}
