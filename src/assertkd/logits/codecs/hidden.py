"""Codec `hidden`: the vector that enters the LM head; the logits are one matrix product away, at every temperature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch

from assertkd.batching.distributions import FullDistribution
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.codec import Codec, Encoder, checked_hidden
from assertkd.logits.codecs.head import Float32, StoredHead, balance_head
from assertkd.logits.codecs.quantisation import dequantise, feedback_weights, quantise


@dataclass(frozen=True, slots=True)
class HiddenView(FullDistribution):
    """Logits rebuilt as hidden · headᵀ, one matrix product a call.

    Attributes:
        hidden: (N, d) float32, in the units of the stored head.
        head: the head, loaded once per process and device.
    """

    hidden: torch.Tensor
    head: StoredHead

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
        return type(self)(self.hidden.to(device, non_blocking=non_blocking), self.head)

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        return type(self)(self.hidden.pin_memory(), self.head)

    def logits(self, rows: slice) -> torch.Tensor:
        """Return (n, V) float32: hidden · headᵀ of these rows, in float32 whatever the student's precision is.

        Raises:
            UserError: at the first use, the head file is missing or damaged.
        """
        hidden = self.hidden[rows]
        # Under autocast the product would be rounded to bfloat16, a hundred times the codec's own error.
        with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
            return hidden @ self.head.weight(hidden.device).T


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
    """

    name: ClassVar[str] = "hidden"
    keeps_head: ClassVar[bool] = True
    keeps_vocabulary: ClassVar[bool] = True

    def __init__(
        self, vocab_size: int, hidden_size: int, dtype: Literal["int8", "float16"] = "int8", group_size: int = 64
    ) -> None:
        super().__init__(vocab_size, hidden_size)
        self.dtype = dtype
        self.group_size = group_size
        if dtype == "float16":
            self.layout = {"hidden": (np.dtype("<f2"), (hidden_size,))}
        else:
            groups = -(-hidden_size // group_size)
            self.layout = {"scales": (np.dtype("<f2"), (groups,)), "levels": (np.dtype("i1"), (hidden_size,))}

    @property
    def parameters(self) -> dict[str, Any]:
        """`dtype` and, for int8, `group_size`."""
        return {"dtype": self.dtype} | ({"group_size": self.group_size} if self.dtype == "int8" else {})

    def encoder(self, head: Float32) -> Encoder:
        """Return an encoder into the units of this head; for int8 it rounds by the head's covariance."""
        balanced = balance_head(head)
        # The encoder lives as long as a pass; it must not keep the scaled head alive.
        units = balanced.units
        if self.dtype == "float16":

            def encode_float16(hidden: Float32) -> Payload:
                vectors = checked_hidden(hidden, self.hidden_size) * units
                if np.abs(vectors).max(initial=0.0) > np.finfo(np.float16).max:
                    raise UserError("a hidden value does not fit float16", "Store with `dtype: int8`.")
                return {"hidden": vectors.astype("<f2")}

            return encode_float16

        weights = feedback_weights(balanced.deviations)

        def encode_int8(hidden: Float32) -> Payload:
            vectors = checked_hidden(hidden, self.hidden_size) * units
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
        return HiddenView(torch.from_numpy(vectors), head)
