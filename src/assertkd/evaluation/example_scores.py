"""Scores of single examples: computed in parallel processes, chunk by chunk, each within a time limit."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise

import torch

from assertkd.metrics.assertion_form import ASSERTION_NAME
from assertkd.metrics.bleu import BleuCounts, bleu_counts
from assertkd.metrics.codebleu import CodeBleu, codebleu_parts
from assertkd.metrics.exact_match import exact_match
from assertkd.metrics.lexer import java_tokens
from assertkd.metrics.overlap import f1
from assertkd.metrics.registry import add_encoder_and_derived_metrics, pair_metrics
from assertkd.models.encoders import TextEncoder
from assertkd.predictions import Prediction

CHUNK = 64
"""Examples that a process scores at a time."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A prediction, with the teacher's on the same example where it is a student's."""

    own: Prediction
    teacher: str | None = None


@dataclass(frozen=True, slots=True)
class ExampleScores:
    """The scores of one prediction.

    Attributes:
        values: metric name to value in [0, 1]; 0.0 for what was not computed within the time limit.
        parts: of CodeBLEU.
        counts: what it adds to corpus BLEU.
        kind: the reference's assertion, as `assertEquals`.
        target_tokens: Java tokens of the reference.
        agreement: token F1 and exact match with the teacher's prediction, in [0, 1]; None without a teacher.
        timed_out: whether the time limit was reached.
    """

    values: dict[str, float]
    parts: CodeBleu
    counts: BleuCounts
    kind: str
    target_tokens: int
    agreement: tuple[float, float] | None
    timed_out: bool = False


def score_examples(
    answers: Iterable[Answered],
    encoder: TextEncoder | None = None,
    *,
    processes: int = 1,
    example_seconds: float = 10.0,
) -> Iterator[tuple[Answered, ExampleScores]]:
    """Yield every prediction with its scores, in order; only a few chunks are held at a time.

    Args:
        answers: the predictions, read only as they are needed.
        encoder: embeds the texts; None leaves out the metrics that need it, and those derived from them.
        processes: that compute; 1 computes in this one.
        example_seconds: processor time that one example may take, above 0.
    """
    left = iter(answers)
    chunks = iter(lambda: list(islice(left, CHUNK)), [])
    if processes == 1:
        for chunk in chunks:
            yield from zip(chunk, score_chunk(chunk, encoder, example_seconds), strict=True)
        return
    # Forked, since the encoder would have to be loaded in every process otherwise. As in torch's own data loaders, the
    # children compute on one thread each.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _start, (encoder, example_seconds)) as pool:
        waiting: deque[tuple[list[Answered], Future[list[ExampleScores]]]] = deque()
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_score_here, chunk)))
            if len(waiting) > 2 * processes:
                done, future = waiting.popleft()
                yield from zip(done, future.result(), strict=True)
        for done, future in waiting:
            yield from zip(done, future.result(), strict=True)


_shared: tuple[TextEncoder | None, float]
"""Encoder and time limit of a forked process, set when it starts."""


def _start(encoder: TextEncoder | None, example_seconds: float) -> None:
    global _shared
    _shared = encoder, example_seconds
    if encoder is not None:
        torch.set_num_threads(1)


def _score_here(chunk: list[Answered]) -> list[ExampleScores]:
    return score_chunk(chunk, *_shared)


def score_chunk(
    answers: Sequence[Answered], encoder: TextEncoder | None, example_seconds: float
) -> list[ExampleScores]:
    """Return the scores of some predictions."""
    scores = [score_example(one, example_seconds) for one in answers]
    predictions, references = [one.own.prediction for one in answers], [one.own.reference for one in answers]
    add_encoder_and_derived_metrics([one.values for one in scores], predictions, references, encoder)
    return scores


def score_example(one: Answered, example_seconds: float) -> ExampleScores:
    """Return the scores of one prediction that need neither an encoder nor other metrics."""
    texts = one.own.prediction, one.own.reference
    metrics = pair_metrics()
    values = dict.fromkeys(metrics, 0.0)
    kind, target_tokens = assertion_kind(one.own.reference), len(java_tokens(one.own.reference))
    agreement = None if one.teacher is None else (0.0, 0.0)
    try:
        with time_limit(example_seconds):
            if one.teacher is not None:
                agreement = f1(one.own.prediction, one.teacher), exact_match(one.own.prediction, one.teacher)
            for name, metric in metrics.items():
                values[name] = float(metric(*texts))
            return ExampleScores(values, codebleu_parts(*texts), bleu_counts(*texts), kind, target_tokens, agreement)
    except TimeLimitError:
        nothing = BleuCounts(0.0, (0,) * 4, (0,) * 4, 0, target_tokens)
        parts = CodeBleu(0.0, 0.0, 0.0, None)
        return ExampleScores(values, parts, nothing, kind, target_tokens, agreement, timed_out=True)


def assertion_kind(reference: str) -> str:
    """Return the name of the first assertion that a text calls, as `assertEquals` or `verify`.

    `assert` for Java's own statement, `other` where no assertion is called.
    """
    tokens = java_tokens(reference)
    if tokens[:1] == ("assert",):
        return "assert"
    called = (token for token, following in pairwise(tokens) if following == "(")
    return next(filter(ASSERTION_NAME.fullmatch, called), "other")


class TimeLimitError(Exception):
    """A piece of work took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` inside the block once this process has computed for `seconds` in it.

    Counted is processor time, so that a busy machine makes no difference. Only in a process's main thread.
    """

    def stop(number: int, frame: object) -> None:
        raise TimeLimitError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    # It rings again and again: an exception that a destructor happens to receive is lost.
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
