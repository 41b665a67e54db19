"""BLEU of sacrebleu on Java tokens (Papineni et al. 2002; Post 2018), scaled to [0, 1]."""

import re
from collections.abc import Sequence
from functools import cache

from sacrebleu.metrics.bleu import BLEU

from assertkd.evaluation.metrics.lexer import java_tokens


@cache
def scorer(effective_order: bool) -> BLEU:
    """Return a sacrebleu scorer that splits on blanks alone."""
    return BLEU(tokenize="none", effective_order=effective_order, force=True)


def lexed(text: str) -> str:
    """Return the Java tokens of `text` joined by blanks; a blank inside a literal is written `␣`, to keep it whole."""
    return " ".join(re.sub(r"\s", "␣", token) for token in java_tokens(text))


def bleu(prediction: str, reference: str) -> float:
    """Return sentence BLEU up to 4-grams with effective order and sacrebleu's exponential smoothing, in [0, 1]."""
    score: float = scorer(effective_order=True).sentence_score(lexed(prediction), [lexed(reference)]).score
    return min(score / 100, 1.0)


def corpus_bleu(predictions: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """Return corpus BLEU in [0, 1] and sacrebleu's signature, which states the settings and the version."""
    metric = scorer(effective_order=False)
    score: float = metric.corpus_score(
        [lexed(text) for text in predictions], [[lexed(text) for text in references]]
    ).score
    return min(score / 100, 1.0), str(metric.get_signature())
