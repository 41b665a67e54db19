"""Overlap of the two bags of Java tokens, and tokens equal in place."""

from collections import Counter

from assertkd.metrics.lexer import java_tokens


def shared_tokens(prediction: str, reference: str) -> int:
    """Return the size of the multiset intersection of both texts' tokens."""
    return (Counter(java_tokens(prediction)) & Counter(java_tokens(reference))).total()


def precision(prediction: str, reference: str) -> float:
    """Return the share of the prediction's tokens that the reference has too; 1.0 where both are empty."""
    tokens = len(java_tokens(prediction))
    return shared_tokens(prediction, reference) / tokens if tokens else float(not java_tokens(reference))


def recall(prediction: str, reference: str) -> float:
    """Return the share of the reference's tokens that the prediction has too; 1.0 where both are empty."""
    return precision(reference, prediction)


def f1(prediction: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall: 2 · shared / (tokens of both); 1.0 where both are empty."""
    both = len(java_tokens(prediction)) + len(java_tokens(reference))
    return 2 * shared_tokens(prediction, reference) / both if both else 1.0


def token_accuracy(prediction: str, reference: str) -> float:
    """Return equal tokens at equal positions divided by the longer length; 1.0 where both are empty."""
    predicted, expected = java_tokens(prediction), java_tokens(reference)
    longer = max(len(predicted), len(expected))
    # `strict=False`: a text that is too short loses through the longer length it is divided by.
    equal = sum(one == other for one, other in zip(predicted, expected, strict=False))
    return equal / longer if longer else 1.0
