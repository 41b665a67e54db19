"""What the codecs hidden and topk give back of a batch: rebuilt logits, or supports with tails."""

from dataclasses import dataclass
from typing import Self

import torch

from assertkd.batching.distributions import BucketedDistribution, Buckets, FullDistribution
from assertkd.errors import UserError
from assertkd.logits.codecs.head import StoredHead


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


@dataclass(frozen=True, slots=True)
class TopKView(BucketedDistribution):
    """Supports as distances from the likeliest token, and the tail's log-odds.

    Attributes:
        ids: (N, K) int32, padded with the row's first id.
        distance: (N, K) float32, nats below the likeliest at T = 1; infinite at the padding.
        tail: (N, n) float32, log of the mass outside the support over the mass inside, by temperature.
        stored: the n temperatures.
        vocabulary: V.
    """

    ids: torch.Tensor
    distance: torch.Tensor
    tail: torch.Tensor
    stored: tuple[float, ...]
    vocabulary: int

    @property
    def num_tokens(self) -> int:
        """N."""
        return self.ids.shape[0]

    @property
    def vocab_size(self) -> int:
        """V."""
        return self.vocabulary

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures whose tails were stored."""
        return self.stored

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view on `device`."""
        ids, distance, tail = (
            tensor.to(device, non_blocking=non_blocking) for tensor in (self.ids, self.distance, self.tail)
        )
        return type(self)(ids, distance, tail, self.stored, self.vocabulary)

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        ids, distance, tail = (tensor.pin_memory() for tensor in (self.ids, self.distance, self.tail))
        return type(self)(ids, distance, tail, self.stored, self.vocabulary)

    def buckets(self, rows: slice, temperature: float) -> Buckets:
        """Return the buckets at a temperature: the support keeps its stored share of the mass, the tail the rest.

        Raises:
            UserError: the tail's mass at this temperature was not stored.
        """
        if temperature not in self.stored:
            raise UserError(
                f"the stored logits hold no tail at temperature {temperature:g}, only at "
                f"{', '.join(format(one, 'g') for one in self.stored)}",
                "Use one of these temperatures, or rerun `compress_logits` with this one configured.",
            )
        odds = self.tail[rows, self.stored.index(temperature)]
        shares = torch.log_softmax(-self.distance[rows] / temperature, dim=-1)
        log_head = torch.nn.functional.logsigmoid(-odds)
        return Buckets(self.ids[rows].long(), shares + log_head[:, None], torch.nn.functional.logsigmoid(odds))
