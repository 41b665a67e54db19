"""Examples as token ids, and batches as padded tensors with the teacher's distributions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy.typing as npt
import torch
from torch import Tensor

from assertkd.batching.distributions import TeacherView


@dataclass(frozen=True, slots=True)
class Example:
    """One input with one target.

    Attributes:
        id: the record's id.
        input_ids: source tokens, the end token last; an `array` of them takes a ninth of a list's memory.
        target_ids: target tokens, the end token last.
        target: the target's text.
        critical: which target tokens are critical; empty if no loss weights them.
    """

    id: str
    input_ids: Sequence[int]
    target_ids: list[int]
    target: str = ""
    critical: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded examples.

    Attributes:
        ids: the records' ids.
        input_ids: (B, S).
        attention_mask: (B, S), 1 at tokens.
        labels: (B, T), `IGNORED` at padding.
        tokens: target tokens, padding not counted.
        targets: the targets' texts.
        critical: (B, T), true at critical target tokens.
        teacher: the teacher's distributions at the `tokens` target positions, or None.
    """

    ids: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    tokens: int
    targets: tuple[str, ...]
    critical: Tensor
    teacher: TeacherView | None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        return self._moved(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory (DataLoader calls this)."""
        return self._moved(lambda part: part.pin_memory())

    def _moved(self, move: Callable[[Any], Any]) -> "Batch":
        parts = ("input_ids", "attention_mask", "labels", "critical", "teacher")
        return replace(self, **{name: move(part) for name in parts if (part := getattr(self, name)) is not None})


Payload = Mapping[str, npt.NDArray[Any]]
"""One example's distributions as a store holds them: the arrays of its codec by their names."""


class TeacherSource(Protocol):
    """Source of a batch's teacher distributions, such as a logit store."""

    def read_example(self, example: Example) -> Payload:
        """Return the stored arrays of an example, checked against its target."""

    def collate_views(self, payloads: Sequence[Payload]) -> TeacherView:
        """Return one view over the payloads, in their order."""
