"""Codec `hidden`: the vector that enters the LM head; the logits are one matrix product away, at every temperature.

int8 has a scale per group of dimensions, and is rounded so that the logits, not the vectors, come out close.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch

from assertkd.batching.distributions import FullDistribution
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.codec import Codec, Encoder, checked_hidden
from assertkd.logits.codecs.head import Float32, StoredHead, balance_head, row_blocks
from assertkd.models.distillable import capped

LEVELS = 127
"""An int8 value lies in -127..127, in steps of its group's scale."""
DAMPING = 1e-2
"""Share of the mean variance added to the metric's diagonal, as in GPTQ: without it directions that the head hardly
sees would be corrected at any price."""


@dataclass(frozen=True, slots=True)
class HiddenView(FullDistribution):
    """Logits rebuilt as hidden · headᵀ, one matrix product a call, and capped where the teacher's are.

    Attributes:
        hidden: (N, d) float32, in the units of the stored head.
        head: the head, loaded once per process and device.
        logit_cap: the teacher's cap of its logits.
    """

    hidden: torch.Tensor
    head: StoredHead
    logit_cap: float | None = None

    @property
    def num_tokens(self) -> int:
        """N."""
        return self.hidden.shape[0]

    @property
    def vocab_size(self) -> int:
        """V."""
        return self.head.vocab_size

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view on `device`; the head follows at the first use."""
        return replace(self, hidden=self.hidden.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        return replace(self, hidden=self.hidden.pin_memory())

    def logits(self, rows: slice) -> torch.Tensor:
        """Return (n, V) float32: hidden · headᵀ of these rows, capped, in float32 whatever the student's precision is.

        UserError, at the first use, if the head file is missing or damaged.
        """
        hidden = self.hidden[rows]
        # Under autocast the product would be rounded to bfloat16, a hundred times the codec's own error.
        with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
            return capped(hidden @ self.head.weight(hidden.device).T, self.logit_cap)


class HiddenCodec(Codec):
    """The hidden vectors in the units of the balanced head (`head.balance_head`), as int8 or float16.

    int8 takes `d + 2 · ceil(d / group_size)` bytes a token: 792 at d = 768 and groups of 64 (816 with groups of 32).
    For synthetic teachers of 4 nats entropy, V = 32,100, its mean KL(full ‖ decoded) is 5e-5 to 8e-5 nats at T = 1 and
    less at higher temperatures, whether or not some dimensions are outliers. float16 takes 2 · d bytes; its KL is 2e-7.

    Args:
        vocab_size: V.
        hidden_size: d.
        dtype: "int8" or "float16".
        group_size: dimensions that share an int8 scale; float16 has no use for it.
        logit_cap: see `Codec`.
    """

    name: ClassVar[str] = "hidden"
    keeps_head: ClassVar[bool] = True
    keeps_vocabulary: ClassVar[bool] = True
    encodes_several: ClassVar[bool] = True

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        dtype: Literal["int8", "float16"] = "int8",
        group_size: int = 64,
        logit_cap: float | None = None,
    ) -> None:
        self.dtype = dtype
        self.group_size = group_size
        if dtype == "float16":
            super().__init__(vocab_size, hidden_size, logit_cap, dtype=dtype)
            self.layout = {"hidden": (np.dtype("<f2"), (hidden_size,))}
        else:
            super().__init__(vocab_size, hidden_size, logit_cap, dtype=dtype, group_size=group_size)
            groups = -(-hidden_size // group_size)
            self.layout = {"scales": (np.dtype("<f2"), (groups,)), "levels": (np.dtype("i1"), (hidden_size,))}

    def encoder(self, head: Float32) -> Encoder:
        """Return an encoder into the units of this head; for int8 it rounds by the head's covariance."""
        balanced = balance_head(head)
        # The encoder lives as long as a pass; it must not keep the scaled head alive.
        units = balanced.units
        if self.dtype == "float16":

            def encode_float16(hidden: Float32) -> Payload:
                vectors = checked_hidden(hidden, self.hidden_size, (2, 3)) * units
                if np.abs(vectors).max(initial=0.0) > np.finfo(np.float16).max:
                    raise UserError("a hidden value does not fit float16", "Store with `dtype: int8`.")
                return {"hidden": vectors.astype("<f2")}

            return encode_float16

        weights = feedback_weights(balanced.deviations)

        def encode_int8(hidden: Float32) -> Payload:
            vectors = checked_hidden(hidden, self.hidden_size, (2, 3)) * units
            levels, scales = quantise(vectors, weights, self.group_size)
            return {"scales": scales, "levels": levels}

        return encode_int8

    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> HiddenView:
        """Return a view that holds the batch's hidden vectors and the handle on the head."""
        if head is None:
            raise ValueError("the codec `hidden` needs the store's head")
        if self.dtype == "float16":
            vectors = self._joined(payloads, "hidden").astype(np.float32)
        else:
            levels, scales = self._joined(payloads, "levels"), self._joined(payloads, "scales")
            vectors = dequantise(levels, scales, self.group_size)
        return HiddenView(torch.from_numpy(vectors), head, self.logit_cap)


def feedback_weights(columns: npt.NDArray[np.floating]) -> Float32:
    """Return how the rounding error of each dimension is made good in the dimensions before it.

    An error δ of a hidden vector changes the logits by `columns @ δ`, whose variance over the vocabulary is δᵀCδ,
    C the covariance of the columns. With C = RᵀR, R upper triangular, that is the sum over j of
    `(R_jj · (δ_j + Σ_{k>j} R_jk / R_jj · δ_k))²`: rounding from the last dimension to the first, each value can be
    shifted to cancel what the later ones left over (Babai's nearest plane; GPTQ does so to weights, Frantar et al.
    2023). Against plain rounding it halves the KL of the logits.

    Takes (V, d), the head less its mean row; returns (d, d), `R_jk / R_jj` above the diagonal, zero elsewhere.
    """
    products = np.zeros((columns.shape[1],) * 2, np.float32)
    for rows in row_blocks(columns.shape):
        values = columns[rows].astype(np.float32)
        products += values.T @ values
    covariance = products.astype(np.float64) / len(columns)
    damping = max(DAMPING * covariance.trace() / len(covariance), np.finfo(np.float32).tiny)
    upper = np.linalg.cholesky(covariance + damping * np.eye(len(covariance))).T
    return np.triu(upper / upper.diagonal()[:, None], k=1).astype(np.float32)


def quantise(
    vectors: Float32, weights: Float32, group_size: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """Round vectors to int8 levels.

    Args:
        vectors: (T, d), or (n, T, d) of n examples, finite; each example's levels are those that it has alone.
        weights: (d, d) from `feedback_weights`; zeros give plain rounding to the nearest level.
        group_size: dimensions that share a scale; the last group may be smaller.

    Returns:
        Levels in -127..127, of the shape of `vectors`, and scales, with ceil(d / group_size) in place of d.

    Raises:
        UserError: a value is too large for a float16 scale (beyond 8e6).
    """
    width = vectors.shape[-1]
    starts = np.arange(0, width, group_size)
    scales32 = np.maximum.reduceat(np.abs(vectors), starts, axis=-1) / LEVELS
    if scales32.max(initial=0.0) > np.finfo(np.float16).max:
        raise UserError(
            f"a hidden value of magnitude {np.abs(vectors).max():g} is too large for int8 with float16 scales",
            "Store with the codec `dense`, and check the teacher: its hidden vectors are out of the usual range.",
        )
    scales = scales32.astype(np.float16)
    # Dimensions first from here on, (d, n, T): the loop below reads and writes all of a dimension.
    steps, exact = (
        np.moveaxis(rows if rows.ndim == 3 else rows[None], 2, 0).copy()
        for rows in (_spread(scales, width, group_size), vectors)
    )
    divisors = np.where(steps > 0, steps, 1.0).astype(np.float32)
    values = exact.copy()
    levels = np.zeros_like(exact)
    errors = np.zeros_like(exact)
    # A product for each example, (n, d, T): one over all would round otherwise, by what else is encoded.
    by_example = errors.swapaxes(0, 1)
    for start in starts[::-1]:
        stop = min(start + group_size, width)
        values[start:stop] += (weights[start:stop, stop:] @ by_example[:, stop:]).swapaxes(0, 1)
        for j in range(stop - 1, start - 1, -1):
            wanted = values[j] + weights[j, j + 1 : stop] @ by_example[:, j + 1 : stop]
            levels[j] = np.rint(wanted / divisors[j]).clip(-LEVELS, LEVELS)
            errors[j] = exact[j] - levels[j] * steps[j]
    return np.ascontiguousarray(np.moveaxis(levels, 0, 2).astype(np.int8)).reshape(vectors.shape), scales


def dequantise(levels: npt.NDArray[np.int8], scales: npt.NDArray[np.float16], group_size: int) -> Float32:
    """Return the vectors (T, d) float32 that levels (T, d) and scales (T, groups) stand for."""
    return levels * _spread(scales, levels.shape[-1], group_size)


def _spread(scales: npt.NDArray[np.float16], width: int, group_size: int) -> Float32:
    return np.repeat(scales.astype(np.float32), group_size, axis=-1)[..., :width]
