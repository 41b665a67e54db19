"""Semantic similarity: how near the embeddings of prediction and reference are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
    vectors = encoder.embed([*predictions, *references]).numpy().astype(np.float64)
    values: NDArray[np.float64] = np.clip(
        (vectors[: len(predictions)] * vectors[len(predictions) :]).sum(axis=1), -1.0, 1.0
    )
    equal = [one.strip() == other.strip() for one, other in zip(predictions, references, strict=True)]
    values[np.array(equal, dtype=bool)] = 1.0
    return values
