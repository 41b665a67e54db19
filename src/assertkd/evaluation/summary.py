"""One model's figures over the test split: means with intervals, CodeBLEU's parts, corpus BLEU, executions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np

from assertkd.evaluation.example_scores import ExampleScores
from assertkd.evaluation.execution.predicted import PredictedExecution
from assertkd.evaluation.significance import LEVEL, Floats, bootstrap_intervals
from assertkd.metrics.bleu import corpus_bleu
from assertkd.metrics.codebleu import CodeBleu

OF_EVERY_EXECUTION, OF_MUTANTS = ("compiles", "passes"), ("kills", "gold_kills")
"""Names of the metrics, each in [0, 1]: those of every execution, and those of executions with mutants."""


def summarise(
    scores: Sequence[ExampleScores], values: Mapping[str, Floats], resamples: int, seed: int
) -> dict[str, Any]:
    """Return the summary of a model.

    Args:
        scores: of every example, at least one.
        values: per metric their values, shape (n,).
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        `n`; `metrics`: {name: {mean, low, high}}; `codebleu_parts`: see `mean_parts`; `corpus_bleu`: {score,
        signature}; `timed_out`: examples that reached the time limit; `bootstrap`: {level, resamples, seed}.
    """
    means = bootstrap_intervals(np.stack(list(values.values()), axis=1), resamples, seed)
    bleu, signature = corpus_bleu(one.counts for one in scores)
    return {
        "n": len(scores),
        "metrics": {name: asdict(interval) for name, interval in zip(values, means, strict=True)},
        "codebleu_parts": mean_parts([one.parts for one in scores]),
        "corpus_bleu": {"score": bleu, "signature": signature},
        "timed_out": sum(one.timed_out for one in scores),
        "bootstrap": {"level": LEVEL, "resamples": resamples, "seed": seed},
    }


def mean_parts(parts: Sequence[CodeBleu]) -> dict[str, float | None]:
    """Return the mean of each part of CodeBLEU, and the share of examples whose reference has no data flow.

    `dataflow` is the mean over the references that have one; None where none has.
    """
    flows = [one.dataflow for one in parts if one.dataflow is not None]
    return {
        "ngram": fmean(one.ngram for one in parts),
        "weighted_ngram": fmean(one.weighted_ngram for one in parts),
        "syntax": fmean(one.syntax for one in parts),
        "dataflow": fmean(flows) if flows else None,
        "without_dataflow": 1 - len(flows) / len(parts),
    }


def summarise_executions(
    executions: Sequence[PredictedExecution], resamples: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return per metric {mean, low, high, n}, n the number of examples that have it; empty without executions.

    `compiles` and `passes` are 0 or 1; `kills` is the share of an example's mutants that the prediction kills,
    `gold_kills` the share that the gold assertion kills, both absent where no mutant counts.
    """
    summary: dict[str, dict[str, float]] = {}
    tables = (
        (OF_EVERY_EXECUTION, [(one.compiles, one.passes) for one in executions]),
        (OF_MUTANTS, [(one.killed / one.mutants, one.gold_killed / one.mutants) for one in executions if one.mutants]),
    )
    for names, rows in tables:
        if rows:
            figures = bootstrap_intervals(np.array(rows, dtype=np.float64), resamples, seed)
            summary |= {name: asdict(one) | {"n": len(rows)} for name, one in zip(names, figures, strict=True)}
    return summary
