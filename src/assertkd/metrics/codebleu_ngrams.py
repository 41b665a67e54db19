"""The n-gram parts of CodeBLEU: BLEU, and a recall that weighs keywords (Ren et al. 2020, section 3.1)."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

LONGEST = 4
EPSILON = 0.1
"""What stands for no match at all of some length (Chen & Cherry 2014, smoothing 1)."""

OTHER_WEIGHT = 0.2
"""Weight of a token that is no keyword; keywords weigh 1."""

# fmt: off
KEYWORDS = frozenset({
    "abstract", "assert", "boolean", "break", "byte", "case", "catch", "char", "class", "const", "continue",
    "default", "do", "double", "else", "enum", "extends", "final", "finally", "float", "for", "goto", "if",
    "implements", "import", "instanceof", "int", "interface", "long", "native", "new", "package", "private",
    "protected", "public", "return", "short", "static", "strictfp", "super", "switch", "synchronized", "this",
    "throw", "throws", "transient", "try", "void", "volatile", "while",
})
# fmt: on

RECALLS_LENGTH = 2
"""The reference's length in the penalty of the weighted recall. Every published implementation measures the
pair of tokens and weights in place of the tokens, and published figures compare only with that: no penalty from three
tokens on."""

Counts = Counter[tuple[str, ...]]


def ngram_match(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """Return sentence BLEU up to 4-grams, in [0, 1]; 0.0 where no token is shared."""
    pairs = []
    for own, other in zip(ngram_counts(predicted), ngram_counts(expected), strict=True):
        pairs.append(((own & other).total(), own.total()))
    return geometric_mean(pairs) * brevity_penalty(len(predicted), len(expected))


def weighted_ngram_match(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """Return the geometric mean of n-gram recall, single tokens weighted, in [0, 1]."""
    pairs = []
    for n, (own, other) in enumerate(zip(ngram_counts(predicted), ngram_counts(expected), strict=True), start=1):
        weigh: Callable[[Counts], float] = weighted_total if n == 1 else Counter.total
        pairs.append((weigh(own & other), weigh(other)))
    return geometric_mean(pairs) * brevity_penalty(len(predicted), RECALLS_LENGTH)


def ngram_counts(tokens: Sequence[str]) -> list[Counts]:
    """Return how often each n-gram occurs in `tokens`, for n = 1 to 4."""
    return [Counter(zip(*(tokens[skipped:] for skipped in range(n)), strict=False)) for n in range(1, LONGEST + 1)]


def weighted_total(counts: Counts) -> float:
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
