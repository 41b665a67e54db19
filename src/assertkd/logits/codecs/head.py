"""The teacher's LM head as a store keeps it: once, beside the shards, its columns scaled to unit deviation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from assertkd.errors import UserError
from assertkd.files import sha256_of_file

Float32 = npt.NDArray[np.float32]

HEAD_FILE = "head.safetensors"
RERUN = "Rerun `compress_logits` for this split."

SMALLEST_UNIT = 1e-3
"""Least unit of a column, as a share of the root mean square unit: a constant column, which no softmax sees,
would otherwise have none."""

BLOCK_ELEMENTS = 1 << 22
"""Numbers of a head in float64 at once, 32 MiB: arrays of the size of a large head take longer to get than to fill."""


@dataclass(frozen=True, slots=True)
class BalancedHead:
    """A head (V, d) as `(deviations + mean) * units`.

    Attributes:
        deviations: (V, d) float16, the columns less their mean, in units of their standard deviation. float16
            costs at most 3e-7 nats on heads with outlier columns, 200 times less than int8 hidden vectors do,
            and halves the file. Taking the mean out first is what keeps that true of columns that are nearly constant.
        mean: (d,) float32, the columns' means in the same units.
        units: (d,) float32, the columns' standard deviations over the vocabulary.
    """

    deviations: npt.NDArray[np.float16]
    mean: Float32
    units: Float32


def balance_head(head: Float32) -> BalancedHead:
    """Return a head (V, d), finite, with its columns scaled to unit deviation.

    `hidden * units` are the vectors that belong to the scaled head: same logits, but every dimension is measured
    by what it does to the logits. Dimensions of large magnitude meet columns of small deviation
    in trained transformers, so this also takes the outliers out of the hidden vectors.
    """
    mean = head.mean(axis=0, dtype=np.float64)
    squares = np.zeros(head.shape[1])
    for rows in row_blocks(head.shape):
        squares += np.square(head[rows] - mean).sum(axis=0)
    units = np.sqrt(squares / len(head))
    units = np.maximum(units, SMALLEST_UNIT * np.sqrt(np.mean(units**2)))
    units = np.where(units > 0, units, 1.0).astype(np.float32)
    deviations = np.empty(head.shape, np.float16)
    for rows in row_blocks(head.shape):
        deviations[rows] = (head[rows] - mean.astype(np.float32)) / units
    return BalancedHead(deviations, (mean / units).astype(np.float32), units)


def row_blocks(shape: tuple[int, int]) -> Iterator[slice]:
    """Yield the rows of a matrix of this shape, as many at a time as have `BLOCK_ELEMENTS` numbers, one at least."""
    rows = max(1, BLOCK_ELEMENTS // shape[1])
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A handle on a head file. It travels between processes as a path; each process loads the matrix once.

    Handles on equal bytes (`sha256`) are equal, so the splits of one teacher share one matrix in memory.
    """

    path: Path = field(compare=False)
    sha256: str
    vocab_size: int
    hidden_size: int

    def weight(self, device: torch.device) -> torch.Tensor:
        """Return the scaled head, (V, d) float32 on `device`, loaded at the first call and then shared.

        UserError if the file is missing or not the one that the store was written with.
        """
        return _load(self, device)


def head_bytes(head: BalancedHead) -> bytes:
    """Return the head file's content: `deviations` and `mean` as safetensors. The same head gives the same bytes."""
    content: bytes = save({"deviations": head.deviations, "mean": head.mean})
    return content


@lru_cache(maxsize=4)
def _load(head: StoredHead, device: torch.device) -> torch.Tensor:
    if not head.path.is_file():
        raise UserError(f"{head.path}: no such file, so the hidden vectors give no logits", RERUN)
    if sha256_of_file(head.path) != head.sha256:
        raise UserError(f"{head.path}: its bytes are not those that were written (SHA-256 differs)", RERUN)
    expected = {"deviations": [head.vocab_size, head.hidden_size], "mean": [head.hidden_size]}
    try:
        with safe_open(head.path, framework="pt") as tensors:
            shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
            if shapes != expected:
                raise UserError(f"{head.path}: holds {json.dumps(shapes)}, not {json.dumps(expected)}", RERUN)
            weight: torch.Tensor = tensors.get_tensor("deviations").float()
            return weight.add_(tensors.get_tensor("mean")).to(device)
    except SafetensorError as fault:
        raise UserError(f"{head.path}: not a safetensors file ({fault})", RERUN) from None
