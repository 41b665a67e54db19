"""Codec `topk`: the likeliest tokens, as many as each position is worth, and the mass of all others.

The arrays of one example of T tokens, S support entries and n temperatures:

    k        (T,)     uint8 (uint16 where max_k > 256)   size of a token's support, less 1
    step     (T,)     uint8                              code of the step between quantised log-probabilities
    tail     (T, n)   float16                            log-odds of the tail against the support, by temperature
    ids      (S,)     uint16 (uint32 where V > 65,536)   a token's ids, likeliest first
    levels   (S - T,) uint8                              steps below the token's likeliest, which itself has none
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from assertkd.batching.distributions import BucketedDistribution, Buckets
from assertkd.batching.examples import Payload
from assertkd.errors import UserError
from assertkd.logits.codecs.codec import Codec, Encoder, checked_hidden
from assertkd.logits.codecs.head import Float32, StoredHead
from assertkd.logits.codecs.support import TopLogprobs, choose_support

LEVELS = 255
STEPS = 2.0**-12 * 2.0 ** (np.arange(256) / 8)
"""The steps that a code stands for, in nats: 2^-12 to 2^20, each 9 % above the one before."""

CHUNK_ELEMENTS = 1 << 21
"""Logits encoded at once: 16 MiB of sort keys."""


@dataclass(frozen=True, slots=True)
class TopKView(BucketedDistribution):
    """Supports as distances from the likeliest token, and the tail's log-odds.

    Attributes:
        ids: (N, K) int32, padded with the row's first id.
        distance: (N, K) float32, nats below the likeliest at T = 1; infinite at the padding.
        tail: (N, n) float32, log of the mass outside the support over the mass inside, by temperature.
        temperatures: the n that were stored.
        vocab_size: V.
    """

    ids: torch.Tensor
    distance: torch.Tensor
    tail: torch.Tensor
    # `field()`, since the properties of the base class would pass for defaults.
    temperatures: tuple[float, ...] = field()
    vocab_size: int = field()

    @property
    def num_tokens(self) -> int:
        """N."""
        return self.ids.shape[0]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        return replace(self, ids=move(self.ids), distance=move(self.distance), tail=move(self.tail))

    def buckets(self, rows: slice, temperature: float) -> Buckets:
        """Return the buckets at a stored temperature: the support keeps its share of the mass, the tail the rest."""
        if temperature not in self.temperatures:
            raise UserError(
                f"the stored logits hold no tail at temperature {temperature:g}, only at "
                f"{', '.join(format(one, 'g') for one in self.temperatures)}",
                "Use one of these temperatures, or rerun `compress_logits` with this one configured.",
            )
        odds = self.tail[rows, self.temperatures.index(temperature)]
        shares = torch.log_softmax(-self.distance[rows] / temperature, dim=-1)
        log_head = torch.nn.functional.logsigmoid(-odds)
        return Buckets(self.ids[rows].long(), shares + log_head[:, None], torch.nn.functional.logsigmoid(odds))


class TopKCodec(Codec):
    """An adaptive support of k tokens and one tail bucket: the losses of k + 1 buckets, at the stored temperatures.

    Read as a distribution over the whole vocabulary, the stored form spreads the tail's mass evenly over the tokens
    outside the support. Of every target token, k minimises KL(full ‖ stored) + tolerance · bytes(k) at T = 1. One
    price for all tokens is what makes the mean KL least for the mean number of bytes (the Lagrangian of rate and
    distortion: Shoham and Gersho 1988, Efficient bit allocation for an arbitrary set of quantizers).

    A token's log-probabilities at temperature T are `-d / T - log Z_T`, d its distances below the likeliest. Z_T
    follows from the support's own sum and the tail's log-odds at T, which are stored: support and tail always sum to 1
    as they did in the teacher, and nothing is renormalised over the support alone. At a temperature that was not stored
    the tail's mass is unknown, and the view refuses it.

    Args:
        vocab_size: V.
        hidden_size: d.
        temperatures: at which the tail's mass is kept, each finite and above 0 (else UserError); 1 always is.
        tolerance: nats of KL that a byte must save, above 0. A larger one keeps fewer tokens.
        max_k: most tokens in a support, 1 to 65,536.
        logit_cap: see `Codec`.

    A stored distance is off by half a step at most; a step is the support's widest distance / 255, or up to 9 % more
    (2^-12 at least). So log p of a support token at T is off by step / T at most, besides the rounding of the
    log-odds to float16 (2^-11 of themselves). On sharp teachers that costs some 1e-5 nats; the rest is the spread tail.
    """

    name: ClassVar[str] = "topk"
    keeps_head: ClassVar[bool] = False
    keeps_vocabulary: ClassVar[bool] = False

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        temperatures: Sequence[float] = (),
        tolerance: float = 3e-4,
        max_k: int = 256,
        logit_cap: float | None = None,
    ) -> None:
        for temperature in temperatures:
            if not temperature > 0 or math.isinf(temperature):
                raise UserError(f"codec `topk`: temperature {temperature} is not above 0", "Correct the temperatures.")
        self.temperatures = tuple(sorted({1.0, *map(float, temperatures)}))
        self.tolerance, self.max_k = float(tolerance), max_k
        stored = {"temperatures": list(self.temperatures), "tolerance": self.tolerance, "max_k": max_k}
        super().__init__(vocab_size, hidden_size, logit_cap, **stored)
        self.layout = {
            "k": (np.dtype("u1" if max_k <= 256 else "<u2"), ()),
            "step": (np.dtype("u1"), ()),
            "tail": (np.dtype("<f2"), (len(self.temperatures),)),
            "ids": (np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4"), ()),
            "levels": (np.dtype("u1"), ()),
        }

    def encoder(self, head: Float32) -> Encoder:
        """Return an encoder that computes a chunk's logits at a time."""
        return lambda hidden: self._encode(checked_hidden(hidden, self.hidden_size), head)

    def encode_logits(self, logits: Float32) -> Payload:
        """Return the arrays of logits (T, V); UserError if one is NaN or infinite."""
        return self._encode(logits.astype(np.float32, copy=False), None)

    def encode_top(self, top: TopLogprobs) -> Payload:
        """Return the arrays of the likeliest tokens' log-probabilities; tails follow from an even rest at T = 1."""
        return self._encode_chunk(top)

    def validate(self, arrays: Payload, tokens: int) -> None:
        """Raise ValueError unless the shapes are right, and supports and tails possible."""
        super().validate(arrays, tokens)
        longest, last = int(arrays["k"].max(initial=0)) + 1, int(arrays["ids"].max(initial=0))
        if longest > min(self.max_k, self.vocab_size):
            raise ValueError(f"a support of {longest} tokens, beyond max_k or the vocabulary")
        if last >= self.vocab_size:
            raise ValueError(f"token id {last} is outside the vocabulary of {self.vocab_size}")
        if np.isnan(arrays["tail"]).any() or np.isposinf(arrays["tail"]).any():
            raise ValueError("a tail whose log-odds are not a number or infinite")

    def collate(self, payloads: Sequence[Payload], head: StoredHead | None) -> TopKView:
        """Return a view that holds the supports of the batch, padded to its longest."""
        k, step, tail, flat_ids, levels = (self._joined(payloads, name) for name in self.layout)
        counts = k.astype(np.int64) + 1
        kept = np.arange(counts.max(initial=1)) < counts[:, None]
        # Padding repeats the row's first id, at an infinite distance.
        ids = np.where(kept, 0, flat_ids[np.cumsum(counts) - counts][:, None]).astype(np.int32)
        ids[kept] = flat_ids
        distance = np.where(kept, np.float32(0), np.float32(np.inf))
        distance[_below(kept)] = levels * np.repeat(STEPS[step], counts - 1)
        return TopKView(
            ids=torch.from_numpy(ids),
            distance=torch.from_numpy(distance),
            tail=torch.from_numpy(tail.astype(np.float32)),
            temperatures=self.temperatures,
            vocab_size=self.vocab_size,
        )

    def _rows(self, arrays: Payload, tokens: int) -> dict[str, int]:
        entries = int(arrays["k"].sum(dtype=np.int64)) + tokens
        return super()._rows(arrays, tokens) | {"ids": entries, "levels": entries - tokens}

    def _encode(self, vectors: Float32, head: Float32 | None) -> Payload:
        chunk = max(1, CHUNK_ELEMENTS // self.vocab_size)
        parts: list[Payload] = []
        for start in range(0, len(vectors), chunk):
            rows = vectors[start : start + chunk]
            logits = rows if head is None else self._logits(rows, head)
            if not np.isfinite(logits).all():
                raise UserError("a logit is NaN or infinite", "Check the teacher: it cannot be distilled.")
            parts.append(self._encode_chunk(logits))
        return {name: self._joined(parts, name) for name in self.layout}

    def _encode_chunk(self, distributions: Float32 | TopLogprobs) -> Payload:
        types = {name: dtype for name, (dtype, _) in self.layout.items()}
        price = self.tolerance * (types["ids"].itemsize + 1)
        support = choose_support(distributions, self.temperatures, price, self.max_k)
        last = np.take_along_axis(support.distance, support.k[:, None] - 1, axis=1)[:, 0]
        codes = np.searchsorted(STEPS, last.astype(np.float64) / LEVELS).clip(max=len(STEPS) - 1)
        levels = np.rint(support.distance / STEPS[codes][:, None]).clip(max=LEVELS)
        kept = np.arange(support.ids.shape[1]) < support.k[:, None]
        arrays = {
            "k": support.k - 1,
            "step": codes,
            "tail": support.tail,
            "ids": support.ids[kept],
            "levels": levels[_below(kept)],
        }
        return {name: array.astype(types[name]) for name, array in arrays.items()}


def _below(kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which kept tokens (T, K) are not the likeliest of their row."""
    below = kept.copy()
    below[:, 0] = False
    return below
