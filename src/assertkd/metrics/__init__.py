"""Metrics of one prediction against its reference, each in [0, 1]; one file each.

A new metric is one file and one line of `EXAMPLE_METRICS`.
"""

from collections.abc import Callable

from assertkd.metrics.assertion_form import assertion_form
from assertkd.metrics.ast_validity import ast_validity
from assertkd.metrics.bleu import bleu
from assertkd.metrics.codebleu import codebleu
from assertkd.metrics.exact_match import exact_match, exact_match_lenient
from assertkd.metrics.overlap import f1, precision, recall, token_accuracy
from assertkd.metrics.pans import pans
from assertkd.metrics.syntax_validity import syntax_validity

Metric = Callable[[str, str], float]
"""Takes a prediction and its reference, returns a figure in [0, 1], more is better."""

EXAMPLE_METRICS: dict[str, Metric] = {
    "exact_match": exact_match,
    "exact_match_lenient": exact_match_lenient,
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "token_accuracy": token_accuracy,
    "bleu": bleu,
    "codebleu": codebleu,
    "pans": pans,
    "ast_validity": ast_validity,
    "syntax_validity": syntax_validity,
    "assertion_form": assertion_form,
}
"""The metrics by name, in the order in which tables show them."""

METRIC_NAMES = (*EXAMPLE_METRICS, "semantic_similarity", "code_quality_score")
"""Every metric of a test example: those above, and the two that need embeddings, which `score` adds."""
