"""Padded batches of one epoch."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from assertkd.batching.examples import Batch, Example, TeacherSource
from assertkd.errors import UserError
from assertkd.models.distillable import IGNORED
from assertkd.signals import ignore_stop_signals


def collate(examples: Sequence[Example], pad_token_id: int, teacher: TeacherSource | None) -> Batch:
    """Return the examples as one batch, padded to the longest."""
    inputs = _padded([example.input_ids for example in examples], pad_token_id)
    labels = _padded([example.target_ids for example in examples], IGNORED)
    lengths = torch.tensor([len(example.input_ids) for example in examples])
    return Batch(
        ids=tuple(example.id for example in examples),
        input_ids=inputs,
        attention_mask=(torch.arange(inputs.shape[1]) < lengths[:, None]).long(),
        labels=labels,
        tokens=sum(len(example.target_ids) for example in examples),
        targets=tuple(example.target for example in examples),
        critical=_padded([example.critical or [0] for example in examples], 0, labels.shape[1]).bool(),
        teacher=None
        if teacher is None
        else teacher.collate_views([teacher.read_example(example) for example in examples]),
    )


def load_batches(
    examples: Sequence[Example],
    batches: Sequence[list[int]],
    pad_token_id: int,
    teacher: TeacherSource | None,
    *,
    num_workers: int,
    pin_memory: bool,
) -> Iterator[Batch]:
    """Yield the batches, given as indices into the examples, in their order.

    No random number is drawn, and the loading processes leave signals to this one.

    Raises:
        UserError: an example's teacher distributions are missing, damaged or another target's.
    """
    loader = DataLoader(
        cast("Dataset[Example]", examples),
        batch_sampler=batches,
        collate_fn=partial(_collate_or_fault, pad_token_id=pad_token_id, teacher=teacher),
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


def _collate_or_fault(
    examples: Sequence[Example], pad_token_id: int, teacher: TeacherSource | None
) -> Batch | UserError:
    """Return the batch, or a fault: raised in a loader's process, it would reach the parent as another error."""
    try:
        return collate(examples, pad_token_id, teacher)
    except UserError as fault:
        return fault


def _leave_signals_to_parent(_: int) -> None:
    ignore_stop_signals()


def _padded(rows: Sequence[Sequence[int]], value: int, length: int = 0) -> Tensor:
    padded = np.full((len(rows), max(length, *map(len, rows))), value, dtype=np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return torch.from_numpy(padded)
