"""One model's figures over the test split: means with intervals, CodeBLEU's parts, corpus BLEU."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from assertkd.evaluation.example_scores import ExampleScores
from assertkd.evaluation.significance import LEVEL, Floats, bootstrap_intervals
from assertkd.metrics.bleu import corpus_bleu
from assertkd.metrics.codebleu import CodeBleu


def columns_of(scores: Sequence[ExampleScores]) -> dict[str, Floats]:
    """Return per metric the value of every example, shape (n,)."""
    return {name: np.array([one.values[name] for one in scores]) for name in scores[0].values}


def summarise(
    scores: Sequence[ExampleScores], values: Mapping[str, Floats], resamples: int, seed: int
) -> dict[str, Any]:
    """Return the summary of a model.

    Args:
        scores: of every example, at least one.
        values: their `columns_of`.
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
        "metrics": {name: interval.as_dict() for name, interval in zip(values, means, strict=True)},
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
