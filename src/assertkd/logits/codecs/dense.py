"""Codec `dense`: every logit, in float16. Large, exact for every loss; the baseline of the other codecs."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.codec import Codec, Encoder, checked_hidden
from assertkd.logits.codecs.head import Float32, StoredHead

LARGEST = float(np.finfo(np.float16).max)
STORED = np.dtype("<f2")


class DenseCodec(Codec):
    """float16 logits: 2 · V bytes a token."""

    name: ClassVar[str] = "dense"
    keeps_head: ClassVar[bool] = False
    keeps_vocabulary: ClassVar[bool] = True

    def __init__(self, vocab_size: int, hidden_size: int, logit_cap: float | None = None) -> None:
        super().__init__(vocab_size, hidden_size, logit_cap)
        self.layout = {"logits": (STORED, (vocab_size,))}

    def encoder(self, head: Float32) -> Encoder:
        """Return an encoder that computes one example's logits at a time."""
        return lambda hidden: self.encode_logits(self._logits(checked_hidden(hidden, self.hidden_size), head))

    def encode_logits(self, logits: Float32) -> Payload:
        """Return the array of logits (T, V); UserError if one is NaN or lies beyond float16."""
        return {"logits": in_float16(logits)}

    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> DenseView:
        """Return a view that holds the float16 logits of the batch."""
        return DenseView(torch.from_numpy(self._joined(payloads, "logits")))


def in_float16(logits: Float32) -> npt.NDArray[np.float16]:
    """Return the logits, of any shape, in float16 (little-endian); UserError if one is NaN or lies beyond it."""
    largest = float(np.abs(logits).max(initial=0.0))
    if not largest <= LARGEST:
        raise UserError(
            f"a logit of magnitude {largest:g} does not fit float16, whose largest is {LARGEST:g}",
            "Store with the codec `hidden`, and check the teacher: its logits are out of the usual range.",
        )
    return logits.astype(STORED)
