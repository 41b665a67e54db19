"""Views of the teacher's distributions at the target tokens of a batch, for losses."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch


class TeacherView(ABC):
    """The teacher at N target tokens: the non-padded targets of a batch, in the order of its examples.

    Views are immutable; they hold tensors and paths, so that a loader's worker can collate them.
    """

    @property
    @abstractmethod
    def num_tokens(self) -> int:
        """N, the number of target tokens in the batch."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """V, the size of the vocabulary."""

    @abstractmethod
    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the view with its tensors on `device`."""

    @abstractmethod
    def pin_memory(self) -> Self:
        """Return the view with its tensors in page-locked memory (DataLoader calls this)."""


class FullDistribution(TeacherView):
    """A view with every logit, hence with the distribution at every temperature."""

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
    """A view with a support of likely tokens at each position and the mass of all others; it never has (N, V)."""

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
    """A view of stored logits.

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
