"""Stages that the tests run in two processes; a module of its own, since each process imports it."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.settings import TrainingSettings
from assertkd.training.parallel.process_group import ProcessGroup


@dataclass(frozen=True)
class Numbers:
    """An argument that holds settings and a tuple."""

    training: TrainingSettings
    values: tuple[float, ...]


def sums(folder: Path, numbers: Numbers, absent: Path | None) -> None:
    """Write what each process gets from the others."""
    group = ProcessGroup()
    weights = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))]
    if group.is_first:
        weights[0].grad = torch.ones(2, 3)
    weights[1].grad = torch.tensor([1.0, 10.0], dtype=torch.float64) * (group.rank + 1)
    group.sum_gradients(weights)
    write_json(
        folder / f"{group.rank}.json",
        {
            "size": group.size,
            "gradients": [weight.grad.tolist() for weight in weights if weight.grad is not None],
            "sum": group.sum(torch.tensor([1.0, float(group.rank)])).tolist(),
            "sums": group.sums(*(value * (group.rank + 1) for value in numbers.values)),
            "gathered": group.gathered(["ä" * group.rank, group.rank]),
            "lr": numbers.training.lr,
            "absent": absent,
            "threads": torch.get_num_threads(),
        },
    )


def refuse(folder: Path) -> None:
    """Stop with a user's fault in the second process, while the first waits for it."""
    if not ProcessGroup().is_first:
        raise UserError(f"{folder}: is wrong", "Mend it.")
    ProcessGroup().wait()


def run_out(folder: Path) -> None:
    """Have too little memory in the second process, while the first waits for it."""
    if not ProcessGroup().is_first:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB.")
    ProcessGroup().wait()


def await_signal(folder: Path) -> None:
    """Tell each process's number, then wait for a signal, and answer it with an exit code."""
    rank = ProcessGroup().rank

    def answer(number: int, _: object) -> None:
        write_json(folder / f"{rank}.json", number)
        sys.exit(75)

    signal.signal(signal.SIGUSR1, answer)
    (folder / f"ready-{rank}").write_text(str(os.getpid()))
    time.sleep(600)
