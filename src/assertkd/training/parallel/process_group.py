"""Processes that train one model together. Each adds its share of every sum, so that all of them act as one."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

BUCKET_ELEMENTS = 1 << 25
"""Numbers of the gradient that are summed in one go: 128 MiB in float32."""

TIMEOUT = timedelta(hours=6)
"""Longest wait for the others, which may be decoding, embedding or writing a checkpoint meanwhile."""


class ProcessGroup:
    """The processes of a training: those that `joined_processes` has brought together, or this one alone.

    What is summed or gathered must be so by all processes, in the same order.

    Attributes:
        rank: this process's number, from 0.
        size: the number of processes.
    """

    def __init__(self) -> None:
        started = distributed.is_available() and distributed.is_initialized()
        self.rank: int = distributed.get_rank() if started else 0
        self.size: int = distributed.get_world_size() if started else 1

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which alone writes files."""
        return self.rank == 0

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes; a missing one counts as 0."""
        if self.size == 1:
            return
        for bucket in _buckets(parameters):
            gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in bucket]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            distributed.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            for parameter, part in zip(bucket, parts, strict=True):
                parameter.grad = part.view_as(parameter)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor, of one shape in all processes; no GPU is waited for."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def sums(self, *numbers: float) -> list[float]:
        """Return the sum of each of these numbers, which lie in main memory; no GPU is waited for."""
        return [sum(each) for each in zip(*self.gathered(numbers), strict=True)]

    def gathered(self, value: Any) -> list[Any]:
        """Return every process's value (of JSON's types), by rank."""
        if self.size == 1:
            return [value]
        content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        distributed.all_gather(sizes, torch.tensor([len(content)]))
        longest = max(int(size) for size in sizes)
        padded = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
        distributed.all_gather(padded, torch.nn.functional.pad(content, (0, longest - len(content))))
        return [json.loads(each[: int(size)].numpy().tobytes()) for each, size in zip(padded, sizes, strict=True)]

    def joined(self, values: list[str]) -> list[str]:
        """Return the values of all processes in one list."""
        return list(chain.from_iterable(self.gathered(values)))

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.gathered(None)


@contextmanager
def joined_processes(meeting_point: Path, rank: int, size: int) -> Iterator[None]:
    """Join this process with the others that come to the same meeting point while the block runs.

    Args:
        meeting_point: a file that does not exist yet, in a folder that all see.
        rank: this process's number, from 0.
        size: number of the processes.
    """
    # Sums of numbers in main memory go by gloo even where gradients go by NCCL.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend, init_method=f"file://{meeting_point.resolve()}", rank=rank, world_size=size, timeout=TIMEOUT
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield the parameters in groups of one type and of about `BUCKET_ELEMENTS` numbers."""
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        if bucket and (
            parameter.dtype != bucket[0].dtype
            or sum(each.numel() for each in bucket) + parameter.numel() > BUCKET_ELEMENTS
        ):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket
