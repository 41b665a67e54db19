"""Code quality score: one figure out of six metrics."""

from collections.abc import Mapping

WEIGHTS = {
    "codebleu": 0.30,
    "ast_validity": 0.20,
    "pans": 0.20,
    "f1": 0.15,
    "semantic_similarity": 0.10,
    "token_accuracy": 0.05,
}
"""Weight of each metric; their sum is 1."""


def code_quality_score(values: Mapping[str, float]) -> float:
    """Return the weighted mean of the metrics of `WEIGHTS` of one example, in [0, 1].

    Args:
        values: metric name to value; those without a weight are ignored.

    Raises:
        KeyError: a metric is missing.
    """
    # The weights' floating-point sum may exceed 1 by a rounding.
    return min(1.0, sum(weight * values[name] for name, weight in WEIGHTS.items()))
