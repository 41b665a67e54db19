"""BLEU of sacrebleu on Java tokens (Papineni et al. 2002; Post 2018), scaled to [0, 1]."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from sacrebleu.metrics.bleu import BLEU

from assertkd.metrics.lexer import java_tokens

SMOOTHING = "exp"
"""sacrebleu's default: the first length without a match counts 1/2 of one, the next 1/4, …"""


@dataclass(frozen=True, slots=True)
class BleuCounts:
    """What one example adds to corpus BLEU.

    Attributes:
        score: its own sentence BLEU, in [0, 1].
        matched, every: n-grams that the reference has too, and all of the prediction, for n = 1 to 4.
        own, other: tokens of prediction and reference.
    """

    score: float
    matched: tuple[int, ...]
    every: tuple[int, ...]
    own: int
    other: int


def bleu(prediction: str, reference: str) -> float:
    """Return sentence BLEU up to 4-grams with effective order and sacrebleu's exponential smoothing, in [0, 1]."""
    return bleu_counts(prediction, reference).score


@lru_cache(maxsize=1 << 10)
def bleu_counts(prediction: str, reference: str) -> BleuCounts:
    """Return an example's sentence BLEU and what it adds to corpus BLEU."""
    found = scorer(effective_order=True).sentence_score(lexed(prediction), [lexed(reference)])
    return BleuCounts(
        min(found.score / 100, 1.0), tuple(found.counts), tuple(found.totals), found.sys_len, found.ref_len
    )


def corpus_bleu(counts: Iterable[BleuCounts]) -> tuple[float, str]:
    """Return corpus BLEU in [0, 1] and sacrebleu's signature, which states the settings and the version.

    Args:
        counts: what each example adds, at least one.
    """
    parts = list(counts)
    metric = scorer(effective_order=False)
    score: float = BLEU.compute_bleu(
        correct=[sum(column) for column in zip(*(one.matched for one in parts), strict=True)],
        total=[sum(column) for column in zip(*(one.every for one in parts), strict=True)],
        sys_len=sum(one.own for one in parts),
        ref_len=sum(one.other for one in parts),
        smooth_method=SMOOTHING,
        effective_order=False,
    ).score
    # The signature names the number of references, which sacrebleu knows once it has scored something.
    metric.corpus_score(["x"], [["x"]])
    return min(score / 100, 1.0), str(metric.get_signature())


@cache
def scorer(effective_order: bool) -> BLEU:
    """Return a sacrebleu scorer that splits on blanks alone."""
    return BLEU(tokenize="none", smooth_method=SMOOTHING, effective_order=effective_order, force=True)


def lexed(text: str) -> str:
    """Return the Java tokens of `text` joined by blanks; a blank inside a literal is written `␣`, to keep it whole."""
    return " ".join(re.sub(r"\s", "␣", token) for token in java_tokens(text))
