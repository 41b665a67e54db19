"""A codec: how the teacher's distributions over one example's target become bytes, and what a loss gets back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from assertkd.batching.distributions import TeacherView
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.head import Float32, StoredHead

Encoder = Callable[[Float32], bytes]
"""Turns the hidden vectors (T, d) of one example into its bytes. Pure: the same vectors give the same bytes."""


class Codec(ABC):
    """A way to store distributions. An instance is its parameters and sizes and nothing else; it reads no files.

    What comes in for one example is `hidden` (T, d) float32: for each target token, the end of sequence included, the
    vector that enters the teacher's LM head, after the `d_model ** -0.5` of models that tie their embeddings,
    so that the logits are `hidden @ head.T`.

    Attributes:
        name: as the config says it.
        keeps_head: whether a store of this codec needs the head beside its shards.
        keeps_vocabulary: whether its views give the distribution over the whole vocabulary (`FullDistribution`),
            not a support and the mass of the rest (`BucketedDistribution`).
        vocab_size: V.
        hidden_size: d.
    """

    name: ClassVar[str]
    keeps_head: ClassVar[bool]
    keeps_vocabulary: ClassVar[bool]

    def __init__(self, vocab_size: int, hidden_size: int) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that, with the sizes, build this codec again; JSON values."""

    @abstractmethod
    def encoder(self, head: Float32) -> Encoder:
        """Return the encoder for a teacher's head (V, d). What depends on the head alone is computed here, once.

        The encoder raises UserError where the vectors do not fit the format.
        """

    @abstractmethod
    def decode(self, data: bytes, tokens: int) -> Payload:
        """Return the payload of `tokens` rows that the encoder wrote as `data`.

        Raises:
            ValueError: `data` has not the length that this many tokens take.
        """

    @abstractmethod
    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> TeacherView:
        """Return one view over the payloads of a batch, in their order.

        Args:
            payloads: from `decode`; none gives a view of no tokens.
            head: the store's head; None where the codec keeps none.
        """


def checked_hidden(hidden: Float32, hidden_size: int) -> Float32:
    """Return `hidden` as (T, d) float32, having checked its shape and that it is finite.

    Raises:
        UserError: it holds NaN or infinity.
        ValueError: its shape is another.
    """
    if hidden.ndim != 2 or hidden.shape[1] != hidden_size:
        raise ValueError(f"hidden vectors have shape {hidden.shape}, expected (tokens, {hidden_size})")
    if not np.isfinite(hidden).all():
        raise UserError(
            "the teacher's hidden vectors hold NaN or infinity",
            "Run the teacher in float32 or bfloat16 (float16 overflows in T5), or train it again.",
        )
    return hidden.astype(np.float32, copy=False)
