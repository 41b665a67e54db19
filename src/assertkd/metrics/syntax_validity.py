"""Syntax validity: tree-sitter reads the prediction as exactly one statement of today's Java."""

from assertkd.metrics.syntax_tree import only_statement


def syntax_validity(prediction: str, reference: str = "") -> float:
    """Return 1.0 where the prediction is exactly one non-empty statement without error or missing sign, else 0.0.

    The rule of `ast_validity` with a grammar that knows recent Java. The reference plays no part.
    """
    return float(only_statement(prediction) is not None)
