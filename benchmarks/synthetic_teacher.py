"""Teachers made of random numbers, with the traits of real ones that make codecs fail; for tests and benchmarks."""

from typing import Literal

import numpy as np

from assertkd.logits.codecs.head import Float32, row_blocks

Kind = Literal["plain", "outlier", "rogue"]


def synthetic_teacher(
    kind: Kind, vocab_size: int, hidden_size: int, tokens: int, seed: int = 0
) -> tuple[Float32, Float32]:
    """Return a head (V, d) with a decaying spectrum, and hidden vectors (tokens, d) from sharp to undecided ones.

    Args:
        kind: "outlier" gives six dimensions magnitudes 10 to 60 times the others' and small columns; in "rogue" those
            columns have a large mean as well, as trained transformers have them.
        vocab_size: V.
        hidden_size: d, 6 or more.
        tokens: number of vectors.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((hidden_size, hidden_size)))[0]
    spectrum = np.exp(-np.arange(hidden_size) * 2.5 / hidden_size)
    head = rng.standard_normal((vocab_size, hidden_size))
    columns = (rotation * spectrum).T * np.exp(0.3 * rng.standard_normal(hidden_size))
    # In place: a second array of its size takes longer to get than to fill.
    for rows in row_blocks(head.shape):
        head[rows] = head[rows] @ columns
    hidden = rng.standard_normal((tokens, hidden_size)) * np.exp(0.5 * rng.standard_normal(hidden_size))
    # One standard deviation for all logits at once, from a part of them: the whole may not fit in memory.
    hidden *= 2.5 / (hidden[:256] @ head.T).std()
    wanted = head[rng.integers(0, vocab_size, tokens)]
    hidden += (rng.uniform(0, 25, tokens) / (wanted**2).sum(axis=1))[:, None] * wanted
    if kind != "plain":
        dimensions = rng.choice(hidden_size, 6, replace=False)
        magnitudes = np.array([60, 40, 30, 20, 15, 10])
        signs = np.sign(rng.standard_normal(6))
        hidden[:, dimensions] = hidden.std() * magnitudes * signs * (1 + 0.1 * rng.standard_normal((tokens, 6)))
        head[:, dimensions] /= magnitudes
        if kind == "rogue":
            head[:, dimensions] += 0.5 * head.std()
    return head.astype(np.float32), hidden.astype(np.float32)
