"""CodeBLEU for Java (Ren et al. 2020): n-grams, n-grams that favour keywords, syntax trees, and data flow."""

from dataclasses import dataclass
from functools import lru_cache

from assertkd.metrics.codebleu_dataflow import dataflow_match
from assertkd.metrics.codebleu_ngrams import ngram_match, weighted_ngram_match
from assertkd.metrics.codebleu_syntax import syntax_match
from assertkd.metrics.lexer import java_tokens


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
    lexed_reference = " ".join(expected)
    flow = dataflow_match("", lexed_reference)
    if predicted == expected:
        return CodeBleu(1.0, 1.0, 1.0, None if flow is None else 1.0)
    if not predicted or not expected:
        return CodeBleu(0.0, 0.0, 0.0, None if flow is None else 0.0)
    lexed_prediction = " ".join(predicted)
    return CodeBleu(
        ngram=ngram_match(predicted, expected),
        weighted_ngram=weighted_ngram_match(predicted, expected),
        syntax=syntax_match(lexed_prediction, lexed_reference),
        dataflow=dataflow_match(lexed_prediction, lexed_reference),
    )
