"""Beam search that returns all its hypotheses with their scores, for one input."""

from dataclasses import dataclass

import numpy as np

from assertkd.suggest.t5 import NumpyDecoder, NumpyT5


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What beam search found.

    Attributes:
        ids: its token ids, without the start token, with the end token where it has ended.
        score: mean log-probability of its tokens, in nats; at most 0.
    """

    ids: list[int]
    score: float


def best_hypotheses(model: NumpyT5, ids: list[int], num_beams: int, max_new_tokens: int) -> list[Hypothesis]:
    """Return up to `num_beams` hypotheses of beam search, best first.

    The search is that of transformers' `generate(num_beams=n, num_return_sequences=n)`.

    Args:
        model: the model.
        ids: of the input, the end token last.
        num_beams: sequences that are followed at a time, at least 1.
        max_new_tokens: longest hypothesis, its end token included, at least 1.
    """
    decoder = NumpyDecoder(model, model.encode(ids), num_beams, max_new_tokens)
    running: list[list[int]] = [[]]
    totals = np.zeros((1, 1), np.float32)
    latest = [model.start]
    finished: list[Hypothesis] = []
    for step in range(1, max_new_tokens + 1):
        logits = decoder.logits(latest)
        shifted = logits - logits.max(axis=-1, keepdims=True)
        sums = totals + shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        wanted = min(2 * num_beams, sums.size)
        places = np.argpartition(-sums, wanted - 1, axis=None)[:wanted]
        places = places[np.argsort(-sums.flat[places], kind="stable")]
        going: list[tuple[int, int, float]] = []
        for rank, place in enumerate(places.tolist()):
            beam, token = divmod(place, logits.shape[-1])
            total = float(sums[beam, token])
            if token == model.end or step == max_new_tokens:
                # One that ends behind the best `num_beams` candidates is not worth a place.
                finished += [Hypothesis([*running[beam], token], total / step)] if rank < num_beams else []
            elif len(going) < num_beams:
                going.append((beam, token, total))
        finished = sorted(finished, key=lambda hypothesis: -hypothesis.score)[:num_beams]
        if not going or (len(finished) == num_beams and going[0][2] / step <= finished[-1].score):
            break
        running = [[*running[beam], token] for beam, token, _ in going]
        totals = np.array([[total] for _, _, total in going], np.float32)
        latest = [token for _, token, _ in going]
        decoder.keep([beam for beam, _, _ in going])
    return finished
