"""What a loss sees of the teacher: one batch of its distributions, row by row over the batch's target tokens."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

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
class DenseView(FullDistribution):
    """Logits kept as they are.

    Attributes:
        values: (N, V) float16.
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


def stack_rows(payloads: Sequence[npt.NDArray[np.generic]], columns: int, dtype: npt.DTypeLike) -> torch.Tensor:
    """Return the payloads' rows one behind the other, (N, columns) of `dtype`, as a tensor with memory of its own."""
    return torch.from_numpy(np.concatenate([np.empty((0, columns), dtype), *payloads], dtype=dtype))
