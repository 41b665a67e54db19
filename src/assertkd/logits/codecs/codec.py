"""A codec: how the teacher's distributions over one example's target become arrays, and what a loss gets back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from assertkd.batching.distributions import TeacherView
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.head import Float32, StoredHead
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.models.distillable import capped

Encoder = Callable[[Float32], Payload]
"""Turns the hidden vectors (T, d) of one example into its arrays. Pure: the same vectors give the same arrays."""

Layout = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
"""Array name to the numpy type and the shape of a row."""


class Codec(ABC):
    """A way to store distributions. An instance is its parameters and sizes and nothing else; it reads no files.

    The input for one example is `hidden` (T, d) float32: for each target token, the end of sequence included, the
    vector that enters the teacher's LM head, after the `d_model ** -0.5` of models that tie their embeddings,
    so that the logits are `hidden @ head.T`, or where the teacher caps them `capped` of these.

    Attributes:
        name: as the config says it.
        keeps_head: whether a store of this codec needs the head beside its shards.
        keeps_vocabulary: whether its views give the distribution over the whole vocabulary (`FullDistribution`),
            not a support and the mass of the rest (`BucketedDistribution`).
        encodes_several: whether its encoder also takes n examples of T tokens each, (n, T, d), and returns their arrays
            one behind the other along a first dimension, each as it is alone.
        layout: the arrays of an example.
        vocab_size: V.
        hidden_size: d.
        logit_cap: the teacher's cap of its logits; None where it has none.
        parameters: the keyword arguments that, with the sizes, build this codec again; JSON values.
    """

    name: ClassVar[str]
    keeps_head: ClassVar[bool]
    keeps_vocabulary: ClassVar[bool]
    encodes_several: ClassVar[bool] = False
    layout: Layout

    def __init__(self, vocab_size: int, hidden_size: int, logit_cap: float | None = None, **parameters: Any) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.logit_cap = logit_cap
        self.parameters = parameters if logit_cap is None else parameters | {"logit_cap": logit_cap}

    @abstractmethod
    def encoder(self, head: Float32) -> Encoder:
        """Return the encoder for a teacher's head (V, d). What depends on the head alone is computed here, once.

        The encoder raises UserError where the vectors do not fit the format.
        """

    def encode_logits(self, logits: Float32) -> Payload:
        """Return the arrays of logits (T, V), where the codec takes them; UserError if they do not fit the format."""
        raise NotImplementedError

    def encode_top(self, top: TopLogprobs) -> Payload:
        """Return the arrays of the likeliest tokens' log-probabilities; UserError if the codec does not take them."""
        raise UserError(
            f"log-probabilities of the likeliest tokens, and the codec `{self.name}` stores the whole distribution",
            "Use the codec `topk`: logits.codec: topk in a run, --codec topk with `assertkd logits import`.",
        )

    @abstractmethod
    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> TeacherView:
        """Return one view over the arrays of a batch's examples, in their order; none give a view of no tokens.

        `head` is the store's; None where the codec keeps none.
        """

    def validate(self, arrays: Payload, tokens: int) -> None:
        """Raise ValueError unless these may be the arrays of an example with `tokens` target tokens."""
        types = {name: (array.dtype, array.shape[1:]) for name, array in arrays.items()}
        if types != self.layout:
            raise ValueError(f"arrays {types}, expected {self.layout}")
        rows, expected = {name: len(array) for name, array in arrays.items()}, self._rows(arrays, tokens)
        if rows != expected:
            raise ValueError(f"arrays of {rows} rows, expected {expected} for {tokens} tokens")

    def _logits(self, hidden: Float32, head: Float32) -> Float32:
        """Return the teacher's logits, (T, V), of the vectors (T, d) that enter its head."""
        return capped(torch.from_numpy(hidden @ head.T), self.logit_cap).numpy()

    def _rows(self, arrays: Payload, tokens: int) -> dict[str, int]:
        return dict.fromkeys(self.layout, tokens)

    def _joined(self, payloads: Sequence[Payload], name: str) -> npt.NDArray[Any]:
        """Return one array of all examples, rows one behind the other, with memory of its own."""
        dtype, shape = self.layout[name]
        return np.concatenate([np.empty((0, *shape), dtype), *(arrays[name] for arrays in payloads)])


def checked_hidden(hidden: Float32, hidden_size: int, dimensions: tuple[int, ...] = (2,)) -> Float32:
    """Return `hidden`, of d columns and so many dimensions, in float32.

    UserError if it is not finite, ValueError if its shape is another.
    """
    if hidden.ndim not in dimensions or hidden.shape[-1] != hidden_size:
        raise ValueError(f"hidden vectors have shape {hidden.shape}, expected (tokens, {hidden_size})")
    if not np.isfinite(hidden).all():
        raise UserError(
            "the teacher's hidden vectors hold NaN or infinity",
            "Run the teacher in float32 or bfloat16 (float16 overflows in T5), or train it again.",
        )
    return hidden.astype(np.float32, copy=False)
