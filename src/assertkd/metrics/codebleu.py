"""CodeBLEU for Java (Ren et al. 2020): n-grams, n-grams that favour keywords, syntax trees, and data flow."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from javalang.tokenizer import Keyword, Modifier

from assertkd.metrics.codebleu_dataflow import dataflow_match, parsed
from assertkd.metrics.lexer import java_tokens

LONGEST = 4
EPSILON = 0.1
"""What stands for no match at all of some length (Chen & Cherry 2014, smoothing 1)."""

KEYWORDS = frozenset(Keyword.VALUES | Modifier.VALUES)
OTHER_WEIGHT = 0.2
"""Weight of a token that is no keyword; keywords weigh 1."""

RECALLS_LENGTH = 2
"""The reference's length in the penalty of the weighted recall. Every published implementation measures the
pair of tokens and weights in place of the tokens, and published figures compare only with that: no penalty from three
tokens on."""

Counts = Counter[tuple[str, ...]]

Shape = tuple[object, ...]
"""Type of a node, and field name and number of the shape of each of its named children."""


@dataclass(frozen=True, slots=True)
class CodeBleu:
    """The four parts, each in [0, 1].

    Attributes:
        ngram: BLEU on Java tokens.
        weighted_ngram: n-gram recall in which Java's keywords count five times.
        syntax: share of the reference's subtrees that the prediction has too, names and values left out.
        dataflow: share of the reference's data flow that the prediction has too; None where the reference has none.
    """

    ngram: float
    weighted_ngram: float
    syntax: float
    dataflow: float | None

    @property
    def score(self) -> float:
        """The mean of the parts that there are, in [0, 1]."""
        parts = [self.ngram, self.weighted_ngram, self.syntax]
        if self.dataflow is not None:
            parts.append(self.dataflow)
        return sum(parts) / len(parts)


def codebleu(prediction: str, reference: str) -> float:
    """Return the mean of CodeBLEU's parts, in [0, 1]; of three where the reference has no data flow.

    Equal Java tokens get 1.0, and a text without tokens 0.0. Both texts are lexed first: the parts split on blanks, so
    that `assertTrue(x);` would be a single word.
    """
    return codebleu_parts(prediction, reference).score


@lru_cache(maxsize=1 << 12)
def codebleu_parts(prediction: str, reference: str) -> CodeBleu:
    """Return the four parts, each as the package `codebleu` 0.7 computes it, but for texts that are equal or empty."""
    predicted, expected = java_tokens(prediction), java_tokens(reference)
    lexed_prediction, lexed_reference = " ".join(predicted), " ".join(expected)
    flow = dataflow_match(lexed_prediction, lexed_reference)
    if predicted == expected:
        return CodeBleu(1.0, 1.0, 1.0, None if flow is None else 1.0)
    if not predicted or not expected:
        return CodeBleu(0.0, 0.0, 0.0, None if flow is None else 0.0)
    return CodeBleu(
        ngram=ngram_match(predicted, expected),
        weighted_ngram=weighted_ngram_match(predicted, expected),
        syntax=syntax_match(lexed_prediction, lexed_reference),
        dataflow=flow,
    )


def ngram_match(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """Return sentence BLEU up to 4-grams, in [0, 1]; 0.0 where no token is shared."""
    counts = zip(ngram_counts(predicted), ngram_counts(expected), strict=True)
    pairs = [((own & other).total(), own.total()) for own, other in counts]
    return geometric_mean(pairs) * brevity_penalty(len(predicted), len(expected))


def weighted_ngram_match(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """Return the geometric mean of n-gram recall, single tokens weighted, in [0, 1] (section 3.1)."""
    (own, other), *longer = zip(ngram_counts(predicted), ngram_counts(expected), strict=True)
    pairs = [(weight_of(own & other), weight_of(other))]
    pairs += [((own & other).total(), other.total()) for own, other in longer]
    return geometric_mean(pairs) * brevity_penalty(len(predicted), RECALLS_LENGTH)


def ngram_counts(tokens: Sequence[str]) -> list[Counts]:
    """Return how often each n-gram occurs in `tokens`, for n = 1 to 4."""
    return [Counter(zip(*(tokens[skipped:] for skipped in range(n)), strict=False)) for n in range(1, LONGEST + 1)]


def weight_of(counts: Counts) -> float:
    """Return the summed weight of single tokens."""
    return sum(count * (1.0 if token in KEYWORDS else OTHER_WEIGHT) for (token,), count in counts.items())


def geometric_mean(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the geometric mean of matched / all over the lengths of n-grams; 0.0 where no single token matches."""
    if not pairs[0][0]:
        return 0.0
    logarithms = [math.log((matched or EPSILON) / max(1, every)) for matched, every in pairs]
    return math.exp(math.fsum(logarithms) / len(logarithms))


def brevity_penalty(own: int, other: int) -> float:
    """Return BLEU's penalty for a prediction of `own` tokens against a reference of `other`, in (0, 1]; own >= 1."""
    return 1.0 if own > other else math.exp(1 - other / own)


def syntax_match(prediction: str, reference: str) -> float:
    """Return the share of the reference's subtrees that the prediction's tree has too, in [0, 1] (section 3.2).

    A subtree is a node with all below it, names and values left out. Both texts are parsed as they are, so that what
    does not parse has at least the subtrees outside its errors.
    """
    numbers: dict[Shape, int] = {}
    found, expected = set(subtrees(prediction, numbers)), subtrees(reference, numbers)
    return sum(number in found for number in expected) / len(expected)


def subtrees(text: str, numbers: dict[Shape, int]) -> list[int]:
    """Return a number for the root and for each node with children; equal subtrees have equal numbers.

    Args:
        text: Java.
        numbers: shapes seen so far, added to. Two trees compared must be given the same.
    """
    root = parsed(text)
    nodes = [root]
    # Grows as it is read, so that every node stands before its children.
    for node in nodes:
        nodes += node.children
    found: list[int] = []
    number_of: dict[int, int] = {}
    for node in reversed(nodes):
        if not (node.is_named or node.is_missing):
            continue
        shape: list[object] = [f"missing {node.type}" if node.is_missing else node.type]
        for index, child in enumerate(node.children):
            if child.id in number_of:
                shape += (node.field_name_for_child(index), number_of[child.id])
        number_of[node.id] = numbers.setdefault(tuple(shape), len(numbers))
        if node.child_count or node == root:
            found.append(number_of[node.id])
    return found
