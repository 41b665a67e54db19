"""Forms that the codecs are held against: what others store. They are measured; no store is written with them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import lz4.frame
import numpy as np
import torch

from assertkd.batching.distributions import FullDistribution
from assertkd.logits.codecs.codec import Codec, Encoder, Payload, checked_hidden
from assertkd.logits.codecs.dense import DenseCodec, in_float16
from assertkd.logits.codecs.head import Float32, StoredHead


class OriginalForm(DenseCodec):
    """What AssertKD's predecessor wrote: float16 logits of one example, LZ4, base64 (about 8/3 · V bytes a token)."""

    name: ClassVar[str] = "original"

    def encode_logits(self, logits: Float32) -> bytes:
        """Return the text of logits (T, V), ASCII."""
        return base64.b64encode(lz4.frame.compress(super().encode_logits(logits)))

    def decode(self, data: bytes, tokens: int) -> Payload:
        """Return the logits, (tokens, V) float16."""
        return super().decode(lz4.frame.decompress(base64.b64decode(data)), tokens)


class RenormalisedTopK(Codec):
    """The k largest logits in float16 with their ids, everything else forgotten: 4 or 6 bytes for each of the k.

    A softmax over what is left gives the other tokens no probability at all. That is what top-k caches do that
    keep no tail, and why their `KL(full ‖ stored)` is infinite.

    Args:
        vocab_size: V.
        hidden_size: d.
        k: logits kept a token, at most V.
    """

    name: ClassVar[str] = "renormalised top-k"
    keeps_head: ClassVar[bool] = False
    keeps_vocabulary: ClassVar[bool] = True

    def __init__(self, vocab_size: int, hidden_size: int, k: int = 128) -> None:
        super().__init__(vocab_size, hidden_size)
        self.k = min(k, vocab_size)
        ids = "<u2" if vocab_size <= 1 << 16 else "<u4"
        self._row = np.dtype([("ids", ids, self.k), ("logits", "<f2", self.k)])

    @property
    def parameters(self) -> dict[str, Any]:
        """`k`."""
        return {"k": self.k}

    def encoder(self, head: Float32) -> Encoder:
        """Return an encoder that computes one example's logits and keeps the largest."""

        def encode(hidden: Float32) -> bytes:
            logits = checked_hidden(hidden, self.hidden_size) @ head.T
            kept = np.argpartition(logits, -self.k, axis=1)[:, -self.k :]
            rows = np.empty(len(logits), self._row)
            rows["ids"], rows["logits"] = kept, in_float16(np.take_along_axis(logits, kept, axis=1))
            return rows.tobytes()

        return encode

    def decode(self, data: bytes, tokens: int) -> Payload:
        """Return one record of `ids` (k,) and `logits` (k,) a token."""
        rows = np.frombuffer(data, self._row)
        if len(rows) != tokens:
            raise ValueError(f"{len(rows)} rows for {tokens} tokens")
        return rows

    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> "TruncatedView":
        """Return a view that holds the ids and logits of the batch."""
        rows = np.concatenate([np.empty(0, self._row), *payloads])
        ids, logits = rows["ids"].astype(np.int64), rows["logits"].astype(np.float32)
        return TruncatedView(torch.from_numpy(ids), torch.from_numpy(logits), self.vocab_size)


@dataclass(frozen=True, slots=True)
class TruncatedView(FullDistribution):
    """The largest logits of each token; all others are minus infinity.

    Attributes:
        ids: (N, k) token ids.
        values: (N, k) float32, their logits.
        width: V.
    """

    ids: torch.Tensor
    values: torch.Tensor
    width: int

    @property
    def num_tokens(self) -> int:
        """N."""
        return self.ids.shape[0]

    @property
    def vocab_size(self) -> int:
        """V."""
        return self.width

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view on `device`."""
        ids, values = (tensor.to(device, non_blocking=non_blocking) for tensor in (self.ids, self.values))
        return type(self)(ids, values, self.width)

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        return type(self)(self.ids.pin_memory(), self.values.pin_memory(), self.width)

    def logits(self, rows: slice) -> torch.Tensor:
        """Return (n, V) float32: the kept logits, minus infinity elsewhere."""
        ids, values = self.ids[rows], self.values[rows]
        return values.new_full((len(ids), self.width), -torch.inf).scatter_(1, ids, values)
