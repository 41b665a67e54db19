"""int8 with a scale per group of dimensions, rounded so that the logits, not the vectors, come out close."""

import numpy as np
import numpy.typing as npt

from assertkd.errors import UserError
from assertkd.logits.codecs.head import Float32

LEVELS = 127
DAMPING = 1e-2
"""Share of the mean variance added to the metric's diagonal, as in GPTQ: without it directions that the head hardly
sees would be corrected at any price."""


def feedback_weights(columns: npt.NDArray[np.floating]) -> Float32:
    """Return how the rounding error of each dimension is made good in the dimensions before it.

    An error δ of a hidden vector changes the logits by `columns @ δ`, whose variance over the vocabulary is δᵀCδ,
    C the covariance of the columns. With C = RᵀR, R upper triangular, that is the sum over j of
    `(R_jj · (δ_j + Σ_{k>j} R_jk / R_jj · δ_k))²`: rounding from the last dimension to the first, each value can be
    shifted to cancel what the later ones left over (Babai's nearest plane; GPTQ does so to weights, Frantar et al.
    2023). Against plain rounding it halves the KL of the logits.

    Args:
        columns: (V, d), the head less its mean row.

    Returns:
        (d, d) float32, `R_jk / R_jj` above the diagonal, zero elsewhere.
    """
    values = columns.astype(np.float32)
    covariance = (values.T @ values).astype(np.float64) / len(values)
    damping = max(DAMPING * covariance.trace() / len(covariance), np.finfo(np.float32).tiny)
    upper = np.linalg.cholesky(covariance + damping * np.eye(len(covariance))).T
    return np.triu(upper / upper.diagonal()[:, None], k=1).astype(np.float32)


def quantise(
    vectors: Float32, weights: Float32, group_size: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """Round vectors to int8 levels.

    Args:
        vectors: (T, d), finite.
        weights: (d, d) from `feedback_weights`; zeros give plain rounding to the nearest level.
        group_size: dimensions that share a scale; the last group may be smaller.

    Returns:
        Levels (T, d) in -127..127, and scales (T, ceil(d / group_size)).

    Raises:
        UserError: a value is too large for a float16 scale (beyond 8e6).
    """
    tokens, width = vectors.shape
    starts = np.arange(0, width, group_size)
    scales32 = np.maximum.reduceat(np.abs(vectors), starts, axis=1) / LEVELS
    if scales32.max(initial=0.0) > np.finfo(np.float16).max:
        raise UserError(
            f"a hidden value of magnitude {np.abs(vectors).max():g} is too large for int8 with float16 scales",
            "Store with the codec `dense`, and check the teacher: its hidden vectors are out of the usual range.",
        )
    scales = scales32.astype(np.float16)
    # One row a dimension from here on: the loop below reads and writes whole rows.
    steps = _spread(scales, width, group_size).T.copy()
    divisors = np.where(steps > 0, steps, 1.0).astype(np.float32)
    values = vectors.T.copy()
    levels = np.zeros((width, tokens), np.float32)
    errors = np.zeros((width, tokens), np.float32)
    for start in starts[::-1]:
        stop = min(start + group_size, width)
        values[start:stop] += weights[start:stop, stop:] @ errors[stop:]
        for j in range(stop - 1, start - 1, -1):
            wanted = values[j] + weights[j, j + 1 : stop] @ errors[j + 1 : stop]
            levels[j] = np.rint(wanted / divisors[j]).clip(-LEVELS, LEVELS)
            errors[j] = vectors[:, j] - levels[j] * steps[j]
    return np.ascontiguousarray(levels.T.astype(np.int8)), scales


def dequantise(levels: npt.NDArray[np.int8], scales: npt.NDArray[np.float16], group_size: int) -> Float32:
    """Return the vectors (T, d) float32 that levels (T, d) and scales (T, groups) stand for."""
    return levels * _spread(scales, levels.shape[1], group_size)


def _spread(scales: npt.NDArray[np.float16], width: int, group_size: int) -> Float32:
    return np.repeat(scales.astype(np.float32), group_size, axis=1)[:, :width]
