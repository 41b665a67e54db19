"""The metrics by name. A new metric is one file and one line of `METRICS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assertkd.metrics import code_quality
from assertkd.metrics.assertion_form import assertion_form
from assertkd.metrics.ast_validity import ast_validity
from assertkd.metrics.bleu import bleu
from assertkd.metrics.codebleu import codebleu
from assertkd.metrics.critical_token_accuracy import critical_token_accuracy
from assertkd.metrics.exact_match import exact_match, exact_match_lenient, exact_match_unspaced
from assertkd.metrics.overlap import f1, precision, recall, token_accuracy
from assertkd.metrics.pans import pans
from assertkd.metrics.semantic_similarity import semantic_similarity
from assertkd.metrics.syntax_validity import syntax_validity

if TYPE_CHECKING:
    from assertkd.models.encoders import TextEncoder

PairMetric = Callable[[str, str], float]
"""Takes a prediction and its reference, returns a value in [0, 1], more is better."""


@dataclass(frozen=True, slots=True)
class EncoderMetric:
    """A metric on embeddings; it takes an encoder, n predictions and their references, returns n values in [0, 1]."""

    compute: Callable[["TextEncoder", Sequence[str], Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class DerivedMetric:
    """A metric that is computed from other metrics of the same example; it exists where they all do.

    Attributes:
        compute: takes the values by name, returns one in [0, 1].
        parts: names of those metrics; they stand before it in `METRICS`.
    """

    compute: Callable[[Mapping[str, float]], float]
    parts: tuple[str, ...]


Metric = PairMetric | EncoderMetric | DerivedMetric

METRICS: dict[str, Metric] = {
    "exact_match": exact_match,
    "exact_match_lenient": exact_match_lenient,
    "exact_match_unspaced": exact_match_unspaced,
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "token_accuracy": token_accuracy,
    "critical_token_accuracy": critical_token_accuracy,
    "bleu": bleu,
    "codebleu": codebleu,
    "pans": pans,
    "ast_validity": ast_validity,
    "syntax_validity": syntax_validity,
    "assertion_form": assertion_form,
    "semantic_similarity": EncoderMetric(semantic_similarity),
    "code_quality_score": DerivedMetric(code_quality.code_quality_score, parts=tuple(code_quality.WEIGHTS)),
}
"""Every metric of a prediction against its reference, in the order in which tables show them."""


def pair_metrics() -> dict[str, PairMetric]:
    """Return the metrics that take one prediction and its reference and need nothing else."""
    return {name: metric for name, metric in METRICS.items() if not isinstance(metric, EncoderMetric | DerivedMetric)}


def add_encoder_and_derived_metrics(
    values: Sequence[dict[str, float]],
    predictions: Sequence[str],
    references: Sequence[str],
    encoder: "TextEncoder | None",
) -> None:
    """Add the metrics that need an encoder, and those derived from others, to the values of each prediction.

    Args:
        values: of `pair_metrics`, by name, for each prediction; they are extended in place.
        predictions: the texts.
        references: of the predictions.
        encoder: None leaves out the metrics that need it, and those derived from them.
    """
    for name, metric in METRICS.items():
        if isinstance(metric, EncoderMetric) and encoder is not None:
            column = metric.compute(encoder, predictions, references).tolist()
            for row, value in zip(values, column, strict=True):
                row[name] = value
        elif isinstance(metric, DerivedMetric):
            for row in values:
                if all(part in row for part in metric.parts):
                    row[name] = metric.compute(row)
