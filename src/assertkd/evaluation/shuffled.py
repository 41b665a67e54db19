"""A control of code quality: a model's predictions against gold assertions of other tests.

Most assertions look alike, so a text that says nothing of its test scores too. What a model loses once its predictions
meet the assertions of other tests is what it got from reading them. This is the null hypothesis of permutation tests
(Ojala & Garriga, "Permutation Tests for Studying Classifier Performance", JMLR 2010).
"""

from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean

import numpy as np

from assertkd.evaluation.example_scores import Answered, score_examples
from assertkd.evaluation.sampling import evenly_spaced
from assertkd.models.encoders import TextEncoder
from assertkd.predictions import Prediction

SHUFFLED = "code_quality_score_shuffled"
"""The figure's name in the summary of a model."""

MAX_EXAMPLES = 1000
"""Predictions that are dealt: enough for a mean within about a point, and little beside the scoring of many."""


def shuffled_code_quality(
    predictions: Iterable[Prediction],
    count: int,
    encoder: TextEncoder,
    seed: int,
    *,
    processes: int = 1,
    example_seconds: float = 10.0,
) -> float:
    """Return the mean code quality of predictions against gold assertions of other tests, in [0, 1].

    Args:
        predictions: of a model; `MAX_EXAMPLES` at even distances are taken, where there are more.
        count: how many there are, at least two.
        encoder: embeds the texts.
        seed: of the dealing.
        processes: that compute.
        example_seconds: processor time that one example may take.
    """
    taken = set(evenly_spaced(range(count), MAX_EXAMPLES))
    kept = [one for position, one in enumerate(predictions) if position in taken]
    answers = (Answered(one) for one in with_other_references(kept, seed))
    scored = score_examples(answers, encoder, processes=processes, example_seconds=example_seconds)
    return fmean(scores.values["code_quality_score"] for _, scores in scored)


def with_other_references(predictions: list[Prediction], seed: int) -> list[Prediction]:
    """Return at least two predictions in another order, each with the reference of the one before it."""
    order = np.random.default_rng(seed).permutation(len(predictions)).tolist()
    return [
        replace(predictions[own], reference=predictions[other].reference)
        for own, other in zip(order, [order[-1], *order[:-1]], strict=True)
    ]
