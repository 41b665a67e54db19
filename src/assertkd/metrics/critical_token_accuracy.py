"""Critical token accuracy: how many of the reference's critical tokens the prediction has where they belong."""

from collections.abc import Sequence

from assertkd.metrics.lexer import java_tokens
from assertkd.prompts.critical_tokens import critical_tokens


def critical_token_accuracy(prediction: str, reference: str) -> float:
    """Return the share of the reference's critical tokens that the prediction has at the same place, in [0, 1].

    Places are those of the longest common subsequence of both token sequences, so that a token too many does not shift
    all that follow; among the longest, of one with the most critical tokens. (difflib's matching blocks are no longest
    subsequence, and depend on which text comes first.) Where the reference has no critical token, all its tokens count;
    1.0 where both are empty. Tokens are Java's: a word inside a string is none.
    """
    predicted, expected = java_tokens(prediction), java_tokens(reference)
    if not expected:
        return float(not predicted)
    critical = [is_critical(expected, place) for place in range(len(expected))]
    if not any(critical):
        critical = [True] * len(expected)
    return most_aligned(predicted, expected, critical) / sum(critical)


def is_critical(tokens: Sequence[str], place: int) -> bool:
    """Return whether the token at a place is a critical one; an annotation's name is with the `@` before it."""
    token = tokens[place]
    is_annotation = place > 0 and tokens[place - 1] == "@"
    return (f"@{token}" if is_annotation else token) in critical_tokens()


def most_aligned(predicted: Sequence[str], expected: Sequence[str], is_counted: Sequence[bool]) -> int:
    """Return how many counted tokens of `expected` a longest common subsequence has, of the one with the most.

    Args:
        predicted: tokens, as `expected`.
        expected: tokens.
        is_counted: for each token of `expected` whether it counts.
    """
    # One number for a length and a count, so that the greatest is that of the longest with the most counted.
    unit = len(expected) + 1
    worth = [unit + counted for counted in is_counted]
    best = [0] * unit
    for token in predicted:
        former = 0
        for place, other in enumerate(expected, start=1):
            above = best[place]
            if token == other:
                best[place] = max(above, best[place - 1], former + worth[place - 1])
            elif best[place - 1] > above:
                best[place] = best[place - 1]
            former = above
    return best[-1] % unit
