"""What a loss sees of the teacher: one batch of its distributions, row by row over the batch's target tokens."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from assertkd.errors import UserError
from assertkd.logits.head import StoredHead


class TeacherView(ABC):
    """The teacher at N target tokens: the non-padded targets of a batch, its examples one behind the other.

    Views are immutable; they hold tensors and paths, so that a loader's worker can collate them.
    """

    @property
    @abstractmethod
    def num_tokens(self) -> int:
        """N, the number of target tokens in the batch."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """V, the size of the vocabulary that the distributions are over."""

    @abstractmethod
    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view with its tensors on `device`."""

    @abstractmethod
    def pin_memory(self) -> Self:
        """Return the view with its tensors in page-locked memory (DataLoader calls this)."""


class FullDistribution(TeacherView):
    """A view that knows every logit, and so the distribution at every temperature."""

    @abstractmethod
    def logits(self, rows: slice) -> torch.Tensor:
        """Return the logits of some rows.

        Args:
            rows: which of the `num_tokens` rows. Ask chunk by chunk: the result is as large as a chunk of the
                student's logits.

        Returns:
            (n, V) float32 on the view's device, without gradient; up to `num_tokens` rows, fewer where `rows` ends
            beyond them.
        """


@dataclass(frozen=True, slots=True)
class Buckets:
    """Log-probabilities of n tokens' supports and tails at one temperature.

    Attributes:
        ids: (n, K) int64, the support of each row; a shorter one is padded with the row's first id.
        log_p: (n, K) float32, log-probability of each id; -inf at the padding and only there.
        log_tail: (n,) float32, log of the mass of all tokens outside the support; -inf where there are none.
            The exponentials of a row and its tail sum to 1.
    """

    ids: torch.Tensor
    log_p: torch.Tensor
    log_tail: torch.Tensor


class BucketedDistribution(TeacherView):
    """A view that knows, of each token, a support and the mass of the rest. It never holds (N, V)."""

    @property
    @abstractmethod
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures that `buckets` can be asked for, ascending."""

    @abstractmethod
    def buckets(self, rows: slice, temperature: float) -> Buckets:
        """Return some rows' buckets at a temperature, without gradient, on the view's device.

        Raises:
            UserError: the temperature is none of `temperatures`.
        """


@dataclass(frozen=True, slots=True)
class DenseView(FullDistribution):
    """Logits kept as they are.

    Attributes:
        values: (N, V) float16 of a store, float32 of a teacher in memory.
    """

    values: torch.Tensor

    @property
    def num_tokens(self) -> int:
        """N."""
        return self.values.shape[0]

    @property
    def vocab_size(self) -> int:
        """V."""
        return self.values.shape[1]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view on `device`."""
        return type(self)(self.values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return the view in page-locked memory."""
        return type(self)(self.values.pin_memory())

    def logits(self, rows: slice) -> torch.Tensor:
        """Return (n, V) float32: the stored values of these rows."""
        return self.values[rows].float()


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


def stack_rows(payloads: Sequence[npt.NDArray[np.generic]], columns: int, dtype: npt.DTypeLike) -> torch.Tensor:
    """Return the payloads' rows one behind the other, (N, columns) of `dtype`, as a tensor with memory of its own."""
    return torch.from_numpy(np.concatenate([np.empty((0, columns), dtype), *payloads], dtype=dtype))


def stack_padded(
    payloads: Sequence[npt.NDArray[np.generic]], columns: int, padding: float | None, dtype: npt.DTypeLike
) -> torch.Tensor:
    """Return the payloads' rows one behind the other, each filled up to `columns`.

    Args:
        payloads: of at most `columns` columns each.
        columns: of the result.
        padding: what fills a row up; None for the row's first value.
        dtype: of the result.
    """
    filled = [np.empty((0, columns), dtype)]
    for rows in payloads:
        block = np.empty((len(rows), columns), dtype)
        block[:, : rows.shape[1]] = rows
        block[:, rows.shape[1] :] = rows[:, :1] if padding is None else padding
        filled.append(block)
    return torch.from_numpy(np.concatenate(filled))
