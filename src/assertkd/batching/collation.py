"""Padded batches of one epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from assertkd.batching.examples import Batch, Example, TeacherSource
from assertkd.errors import UserError
from assertkd.models.distillable import IGNORED
from assertkd.signals import ignore_stop_signals


class BatchDataset(Dataset[Batch | UserError]):
    """The batches of one epoch, built on access.

    A `UserError` is returned, not raised: raised in a loader's process, it would reach the parent as another error.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        batches: Sequence[Sequence[int]],
        pad_token_id: int,
        teacher: TeacherSource | None,
    ) -> None:
        self.examples = examples
        self.batches = batches
        self.pad_token_id = pad_token_id
        self.teacher = teacher

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch | UserError:
        try:
            return collate([self.examples[item] for item in self.batches[index]], self.pad_token_id, self.teacher)
        except UserError as fault:
            return fault


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
        else teacher.collate_views([teacher.read(example.id, example.target_ids) for example in examples]),
    )


def load_batches(dataset: BatchDataset, num_workers: int, pin_memory: bool) -> Iterator[Batch]:
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
