"""Other programs' forms, which the codecs are compared with. They are measured; no store is written with them."""

import base64
from collections.abc import Sequence
from typing import ClassVar

import lz4.frame
import numpy as np
import torch

from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Payload
from assertkd.logits.codecs.codec import Codec, Encoder, checked_hidden
from assertkd.logits.codecs.dense import STORED, DenseCodec, in_float16
from assertkd.logits.codecs.head import Float32, StoredHead


class OriginalForm(DenseCodec):
    """AssertKD's predecessor: float16 logits of one example, LZ4, base64 (about 8/3 · V bytes a token)."""

    name: ClassVar[str] = "original"

    def encode_logits(self, logits: Float32) -> Payload:
        """Return the text of logits (T, V), in ASCII."""
        frame = lz4.frame.compress(super().encode_logits(logits)["logits"].tobytes())
        return {"text": np.frombuffer(base64.b64encode(frame), np.uint8)}

    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> DenseView:
        """Return a view that holds the float16 logits of the batch."""
        frames = [lz4.frame.decompress(base64.b64decode(arrays["text"].tobytes())) for arrays in payloads]
        rows = [np.frombuffer(frame, STORED).reshape(-1, self.vocab_size) for frame in frames]
        return super().collate([{"logits": logits} for logits in rows], head)


class RenormalisedTopK(Codec):
    """The k largest logits in float16 with their ids, everything else forgotten: 4 or 6 bytes for each of the k.

    A softmax over what is left gives the other tokens no probability at all. Top-k caches that keep no tail do so,
    and their `KL(full ‖ stored)` is infinite.

    """

    name: ClassVar[str] = "renormalised top-k"
    keeps_head: ClassVar[bool] = False
    keeps_vocabulary: ClassVar[bool] = True

    def __init__(self, vocab_size: int, hidden_size: int, k: int = 128, logit_cap: float | None = None) -> None:
        self.k = min(k, vocab_size)
        super().__init__(vocab_size, hidden_size, logit_cap, k=self.k)
        ids = np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")
        self.layout = {"ids": (ids, (self.k,)), "logits": (STORED, (self.k,))}

    def encoder(self, head: Float32) -> Encoder:
        """Return an encoder that computes one example's logits and keeps the largest."""

        def encode(hidden: Float32) -> Payload:
            logits = self._logits(checked_hidden(hidden, self.hidden_size), head)
            kept = np.argpartition(logits, -self.k, axis=1)[:, -self.k :]
            largest = in_float16(np.take_along_axis(logits, kept, axis=1))
            return {"ids": kept.astype(self.layout["ids"][0]), "logits": largest}

        return encode

    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> DenseView:
        """Return a view of logits that are minus infinity where none is kept."""
        ids = torch.from_numpy(self._joined(payloads, "ids").astype(np.int64))
        logits = torch.from_numpy(self._joined(payloads, "logits"))
        return DenseView(logits.new_full((len(ids), self.vocab_size), -torch.inf).scatter_(1, ids, logits))
