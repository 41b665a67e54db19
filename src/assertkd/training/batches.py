"""Examples as token ids, and batches of them as padded tensors with the teacher's distributions beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from assertkd.errors import UserError
from assertkd.logits.codec import Payload
from assertkd.logits.view import TeacherView
from assertkd.models.seq2seq import shift_right
from assertkd.signals import ignore_stop_signals

IGNORED = -100
"""Label at padding."""


@dataclass(frozen=True, slots=True)
class Example:
    """One input with one target.

    Attributes:
        id: the record's id.
        input_ids: source tokens, the end token last; an `array` of them takes a ninth of a list's memory.
        target_ids: target tokens, the end token last.
        target: the target's text.
        critical: which target tokens are critical; empty where nothing asks for it.
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
        decoder_input_ids: (B, T).
        labels: (B, T), `IGNORED` at padding.
        tokens: target tokens, padding not counted.
        targets: the targets' texts.
        critical: (B, T), true at critical target tokens.
        teacher: the teacher's distributions at the `tokens` target positions, or None.
    """

    ids: tuple[str, ...]
    input_ids: Tensor
    attention_mask: Tensor
    decoder_input_ids: Tensor
    labels: Tensor
    tokens: int
    targets: tuple[str, ...]
    critical: Tensor
    teacher: TeacherView | None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        return Batch(
            self.ids,
            self.input_ids.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            self.decoder_input_ids.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.tokens,
            self.targets,
            self.critical.to(device, non_blocking=True),
            None if self.teacher is None else self.teacher.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory (DataLoader calls this)."""
        return Batch(
            self.ids,
            self.input_ids.pin_memory(),
            self.attention_mask.pin_memory(),
            self.decoder_input_ids.pin_memory(),
            self.labels.pin_memory(),
            self.tokens,
            self.targets,
            self.critical.pin_memory(),
            None if self.teacher is None else self.teacher.pin_memory(),
        )


class TeacherSource(Protocol):
    """Where a batch's teacher distributions come from; a logit store is one."""

    def read(self, example_id: str, target_ids: Sequence[int]) -> Payload:
        """Return what is stored for an example, checked against its target."""

    def collate_views(self, payloads: Sequence[Payload]) -> TeacherView:
        """Return one view over the payloads, in their order."""


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Token ids that padding and shifting need."""

    pad: int
    decoder_start: int


class BatchDataset(Dataset[Batch | UserError]):
    """The batches of one epoch, built when they are asked for.

    A `UserError` is returned, not raised: raised in a loader's process, it would reach the parent as another error.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        batches: Sequence[Sequence[int]],
        special: SpecialIds,
        teacher: TeacherSource | None,
    ) -> None:
        self.examples = examples
        self.batches = batches
        self.special = special
        self.teacher = teacher

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch | UserError:
        try:
            return collate([self.examples[item] for item in self.batches[index]], self.special, self.teacher)
        except UserError as fault:
            return fault


def collate(examples: Sequence[Example], special: SpecialIds, teacher: TeacherSource | None) -> Batch:
    """Return the examples as one batch, padded to the longest."""
    inputs = _padded([example.input_ids for example in examples], special.pad)
    labels = _padded([example.target_ids for example in examples], IGNORED)
    lengths = torch.tensor([len(example.input_ids) for example in examples])
    return Batch(
        ids=tuple(example.id for example in examples),
        input_ids=inputs,
        attention_mask=(torch.arange(inputs.shape[1]) < lengths[:, None]).long(),
        decoder_input_ids=shift_right(labels, special.decoder_start, special.pad),
        labels=labels,
        tokens=sum(len(example.target_ids) for example in examples),
        targets=tuple(example.target for example in examples),
        critical=_padded([example.critical or [0] for example in examples], 0, labels.shape[1]).bool(),
        teacher=None
        if teacher is None
        else teacher.collate_views([teacher.read(example.id, example.target_ids) for example in examples]),
    )


def loaded(dataset: BatchDataset, num_workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Yield the dataset's batches, in their order.

    No random number is drawn, and the loading processes leave signals to this one.

    Raises:
        UserError: an example's teacher distributions are missing, damaged or another target's.
    """
    loader = DataLoader(
        dataset,
        batch_size=None,
        shuffle=False,
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_parent,
        # Without one of its own, every loader draws from torch's global generator.
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, UserError):
            raise batch
        yield batch


def _leave_signals_to_parent(_: int) -> None:
    ignore_stop_signals()


def _padded(rows: Sequence[Sequence[int]], value: int, length: int = 0) -> Tensor:
    padded = np.full((len(rows), max(length, *map(len, rows))), value, dtype=np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return torch.from_numpy(padded)
