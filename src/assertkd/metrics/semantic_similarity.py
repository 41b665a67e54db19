"""Semantic similarity: how near the embeddings of prediction and reference are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assertkd.metrics.ast_validity import MAXIMUM_CHARACTERS

if TYPE_CHECKING:
    from assertkd.models.encoders import TextEncoder


def semantic_similarity(
    encoder: "TextEncoder", predictions: Sequence[str], references: Sequence[str]
) -> NDArray[np.float64]:
    """Return the cosine of each prediction's and its reference's embedding, cut off below 0, shape (n,), in [0, 1].

    1.0 where both texts are equal, surrounding blanks apart; 0.0 where only one is blank. A negative cosine says no
    more than that the texts have nothing in common; it counts as 0, as every metric lies in [0, 1].
    """
    return np.clip(cosines(encoder, predictions, references), 0.0, 1.0)


def cosines(encoder: "TextEncoder", predictions: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
    """Return the cosine of each prediction's and its reference's embedding, shape (n,), in [-1, 1].

    1.0 exactly where both texts are equal, surrounding blanks apart; 0.0 where only one is blank.

    Raises:
        ValueError: there is not one reference for every prediction.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, but {len(references)} references")
    pairs = list(zip(predictions, references, strict=True))
    values = np.ones(len(pairs))
    # Equal pairs need no embedding, and a good model writes many of them.
    different = [row for row, (one, other) in enumerate(pairs) if one.strip() != other.strip()]
    if different:
        # Encoders cut texts to some hundred pieces, but only after they have split them all.
        own, other = (
            encoder.embed([pairs[row][side][:MAXIMUM_CHARACTERS] for row in different], counted=side == 0).double()
            for side in (0, 1)
        )
        values[different] = (own * other).sum(dim=1).clamp(-1.0, 1.0).numpy()
    return values
