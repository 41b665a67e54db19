"""How many threads a training job should compute with on this machine, by measurement.

More threads make a job faster, though less than in proportion; fewer threads leave room for other jobs beside it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional

from assertkd.errors import UserError
from assertkd.models.registry import random_model, shape_and_parameter_count
from assertkd.runtime.machine import cores
from assertkd.settings import ModelSettings
from assertkd.settings.load import RunSettings
from assertkd.settings.training import TrainingSettings
from assertkd.training.optimizer import adamw

SOURCE_SHARE, TARGET_SHARE = 0.6, 0.25
"""What a usual batch's padded length is of the longest allowed: real assertions' p90 (31 tokens of 128)."""

WARM_STEPS = 2


@dataclass(frozen=True, slots=True)
class Workload:
    """Training steps to be timed, of a model (JSON values of `ModelSettings`) with random weights.

    `source` and `target` are lengths in tokens.
    """

    model: dict[str, Any]
    vocab_size: int
    batch_size: int
    source: int
    target: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ThreadCount:
    """Examples a second of a job of so many threads alone, and of `jobs` such jobs side by side, all `together`."""

    threads: int
    alone: float
    jobs: int
    together: float


def workload(model: ModelSettings, training: TrainingSettings, run: RunSettings, seconds: float) -> Workload:
    """Return the steps of a model of a run.

    Raises:
        UserError: the model's configuration cannot be read.
    """
    # Read here, so that a model without a configuration is named before any trial starts.
    shape, _ = shape_and_parameter_count(model, run.tokenizer.vocab_size)
    return Workload(
        ModelSettings(name=model.name, scratch=model.scratch).model_dump(mode="json"),
        shape.vocab_size,
        training.batch_size,
        max(1, round(SOURCE_SHARE * run.data.max_input_len)),
        max(1, round(TARGET_SHARE * run.data.max_output_len)),
        seconds,
    )


def measure(work: Workload, jobs: int) -> list[ThreadCount]:
    """Return what 1, 2, 4, … threads up to all cores make of the workload of `jobs` jobs that may go side by side."""
    available = cores()
    counts = sorted({*(1 << n for n in range(available.bit_length()) if 1 << n <= available), available})
    found = []
    for threads in counts:
        (alone,) = run_trials(work, threads, 1)
        beside = min(jobs, available // threads)
        together = alone if beside == 1 else sum(run_trials(work, threads, beside))
        found.append(ThreadCount(threads, alone, beside, together))
    return found


def best(counts: Sequence[ThreadCount]) -> ThreadCount:
    """Return the count with the most examples a second together; of equal ones that with the fewest threads."""
    return max(counts, key=lambda count: (count.together, -count.threads))


def run_trials(work: Workload, threads: int, jobs: int) -> list[float]:
    """Return the examples a second of so many processes side by side, each of so many threads."""
    command = [sys.executable, "-m", "assertkd.training.parallel.threads", json.dumps(asdict(work)), str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    trials = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(jobs)
    ]
    # All begin when all are ready, so that they measure each other's presence.
    for trial in trials:
        _line(trial)
    for trial in trials:
        assert trial.stdin is not None
        trial.stdin.write("go\n")
        trial.stdin.flush()
    rates = [float(_line(trial)) for trial in trials]
    for trial in trials:
        trial.communicate()
    return rates


def described(title: str, counts: Sequence[ThreadCount]) -> str:
    """Return the measurements as a table for a terminal."""
    lines = [title, f"{'threads':>8}{'alone':>12}{'side by side':>16}{'together':>12}   examples a second"]
    lines += [
        f"{count.threads:>8}{count.alone:>12.2f}{count.jobs:>16}{count.together:>12.2f}"
        + ("   best" if count is best(counts) else "")
        for count in counts
    ]
    return "\n".join(lines)


def _line(trial: "subprocess.Popen[str]") -> str:
    line = trial.stdout.readline() if trial.stdout else ""
    if not line:
        raise UserError("a trial ended without a result", "Look above for its own words; less memory may help.")
    return line


def trial(work: Workload, threads: int) -> None:
    """Say `ready` when the steps could begin, wait for a line, and say how many examples a second they took."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = random_model(ModelSettings(**work.model), work.vocab_size).train()
    optimizer = adamw(model, 1e-4, 0.01)
    input_ids = torch.randint(2, work.vocab_size, (work.batch_size, work.source))
    labels = torch.randint(2, work.vocab_size, (work.batch_size, work.target))

    def step() -> None:
        logits = model(input_ids, torch.ones_like(input_ids), labels).logits
        torch.autograd.backward(functional.cross_entropy(logits, labels.flatten()))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(WARM_STEPS):
        step()
    print("ready", flush=True)
    sys.stdin.readline()
    started, steps = time.perf_counter(), 0
    while (seconds := time.perf_counter() - started) < work.seconds or not steps:
        step()
        steps += 1
    print(steps * work.batch_size / seconds, flush=True)


if __name__ == "__main__":
    trial(Workload(**json.loads(sys.argv[1])), int(sys.argv[2]))
