"""Seeds and random states of all generators of a process."""

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch (CPU and every GPU), and ask torch for deterministic algorithms.

    If a device has no deterministic form of an operation, torch warns and continues. Call it before the process first
    uses a GPU: cuBLAS reads its setting then.

    Args:
        seed: 0 to 2**32 - 1.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It would fill every new tensor with NaN, to show reads of unwritten memory: 4 % of a small model's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def random_state() -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the state of every generator of this process (Python, numpy, torch, GPUs): JSON values and tensors."""
    version, python, next_gauss = random.getstate()
    kind, numpy, position, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors = {
        "python": torch.tensor(python, dtype=torch.int64),
        "numpy": torch.from_numpy(np.asarray(numpy).astype(np.int64)),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors |= {f"cuda.{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        tensors["mps"] = torch.mps.get_rng_state()
    values = {"python": [version, next_gauss], "numpy": [str(kind), int(position), int(has_gauss), float(gauss)]}
    return values, tensors


def set_random_state(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Set every generator to a state that `random_state` returned; absent GPUs are skipped."""
    version, next_gauss = values["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), next_gauss))
    kind, position, has_gauss, gauss = values["numpy"]
    np.random.set_state((kind, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(tensors["torch"])
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{index}"], index)
    if "mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["mps"])


@contextmanager
def preserve_random_state() -> Iterator[None]:
    """Restore the state of every generator at the end of the block."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(*state)
