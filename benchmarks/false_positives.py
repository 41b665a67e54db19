"""How often a comparison of variants calls a difference significant where there is none: the table of docs/metrics.md.

    python benchmarks/false_positives.py                            prints the table
    python benchmarks/false_positives.py --write docs/metrics.md    puts it in its place there

A simulated run has a baseline and eight more variants, all of the same quality. Models share the difficulty of each
test example; a training seed moves a model's quality. No p-value is corrected, so 5 % of them may be below 0.05.
Takes half a minute on one core.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import stats

from assertkd.evaluation.significance import ROUNDING, Floats, resampled_means, resampled_seeds, welch
from table_in_page import publish

BEGIN, END = "<!-- false positives -->", "<!-- end of false positives -->"

VARIANTS, EXAMPLES = 9, 649
LEVEL, HIGHEST = 0.05, 0.06
"""Differences with p below the first count as significant; no more than the second of them should be."""

SEEDS = (1, 3, 5, 8)
DEVIATIONS = ((0.0, 0.0), (1.5, 1.5), (3.0, 3.0), (3.0, 1.0), (1.0, 3.0))
"""Standard deviations of a seed's quality in points: of the baseline, and of the other variants."""

BATCH, BOOTSTRAPPED, RESAMPLES = 100, 200, 400
"""Runs in memory at a time, runs whose differences are bootstrapped, and resamples of each."""


def simulate(runs: int, seeds: int, deviations: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Return hits, shape (runs, variants, seeds, examples), the baseline first."""
    # Within 0.1 and 0.9, where a seed's effect is not cut off; two models' hits correlate with 0.4.
    difficulty = 0.1 + 0.8 * rng.beta(0.3, 0.3, (runs, 1, 1, EXAMPLES)).astype(np.float32)
    baseline, others = deviations
    points = np.array([baseline] + [others] * (VARIANTS - 1))[:, None, None]
    effect = (points / 100 * rng.standard_normal((runs, VARIANTS, seeds, 1))).astype(np.float32)
    return rng.random((runs, VARIANTS, seeds, EXAMPLES), dtype=np.float32) < difficulty + effect


def of_welch(means: Floats) -> Floats:
    """Return p-values (runs, variants - 1) of means (runs, variants, seeds), as the report computes them."""
    base, others = means[:, :1], means[:, 1:]
    own, other = (np.moveaxis(side, 2, 0).reshape(means.shape[2], -1) for side in (others, base + 0 * others))
    return welch(own, other)[1]


def of_paired_t(means: Floats) -> Floats:
    """Return the same by Student's t of differences between the same seed's means."""
    differences, seeds = means[:, 1:] - means[:, :1], means.shape[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = differences.mean(axis=2) / (differences.std(axis=2, ddof=1) / np.sqrt(seeds))
    return 2 * stats.t.sf(np.abs(t), seeds - 1)


def of_pooled_t(means: Floats) -> Floats:
    """Return the same by Student's t with one variance of all variants."""
    variants, seeds = means.shape[1:]
    variance = means.var(axis=2, ddof=1).mean(axis=1, keepdims=True)
    differences = means[:, 1:].mean(axis=2) - means[:, :1].mean(axis=2)
    return 2 * stats.t.sf(np.abs(differences) / np.sqrt(2 * variance / seeds), variants * (seeds - 1))


def of_bootstrap(hits: Floats) -> Floats:
    """Return the same by the paired bootstrap of centred differences; a resample draws seeds, then examples."""
    differences = hits[:, 1:].astype(np.float64) - hits[:, :1]
    seeds, examples = differences.shape[2:]
    resampled = resampled_means(differences.reshape(-1, examples).T, RESAMPLES, 1).reshape(RESAMPLES, -1, seeds)
    over_seeds = np.einsum("rks,rs->rk", resampled, resampled_seeds(seeds, RESAMPLES, 1))
    observed = differences.mean(axis=(2, 3)).ravel()
    as_far = np.abs(over_seeds - observed) >= np.abs(observed) - ROUNDING
    return (1 + as_far.sum(axis=0)) / (1 + RESAMPLES)


OF_MEANS = {
    "Welch's t (the report)": of_welch,
    "paired t": of_paired_t,
    "t, variance pooled over variants": of_pooled_t,
}
BOOTSTRAP = "paired bootstrap of seeds and examples"
METHODS = [*OF_MEANS, BOOTSTRAP]


def rates(runs: int, seeds: int, deviations: tuple[float, float], rng: np.random.Generator) -> dict[str, float]:
    """Return each method's share of false positives; of one seed there is only the bootstrap."""
    found: dict[str, list[Floats]] = defaultdict(list)
    for start in range(0, runs if seeds > 1 else min(runs, BOOTSTRAPPED), BATCH):
        hits = simulate(min(BATCH, runs - start), seeds, deviations, rng)
        if seeds > 1:
            means = hits.mean(axis=3, dtype=np.float64)
            for name, p_values in OF_MEANS.items():
                found[name].append(p_values(means).ravel() < LEVEL)
        if start < BOOTSTRAPPED:
            found[BOOTSTRAP].append(of_bootstrap(hits) < LEVEL)
    return {name: float(np.concatenate(below).mean()) for name, below in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a page with a place for the table")
    parser.add_argument("--runs", type=int, default=4000)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    rows = [["deviation of seeds", "seeds", *METHODS], ["---", "---:", *["---:"] * len(METHODS)]]
    highest = dict.fromkeys(METHODS, 0.0)
    for baseline, others in DEVIATIONS:
        for seeds in SEEDS:
            shares = rates(options.runs, seeds, (baseline, others), rng)
            highest |= {name: max(highest[name], share) for name, share in shares.items()}
            what = f"{baseline:g}" if baseline == others else f"baseline {baseline:g}, others {others:g}"
            cells = [f"{shares[name]:.1%}" if name in shares else "–" for name in METHODS]
            rows.append([what, str(seeds), *cells])
    rows.append([f"at most {HIGHEST:.0%}", "", *("yes" if share <= HIGHEST else "no" for share in highest.values())])
    about = (
        f"{options.runs:,} simulated runs of a baseline, {VARIANTS - 1} other variants and {EXAMPLES} examples "
        f"(bootstrap: {min(BOOTSTRAPPED, options.runs)}); deviations in points of exact match."
    )
    publish(rows, about, options.write, BEGIN, END)


if __name__ == "__main__":
    main()
