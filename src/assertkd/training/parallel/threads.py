"""How many threads a training job should compute with on this machine, by measurement.

More threads make a job faster, though less than in proportion; fewer threads leave room for other jobs beside it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assertkd.errors import UserError
from assertkd.models.registry import shape_and_parameter_count
from assertkd.settings import ModelSettings
from assertkd.settings.load import RunSettings
from assertkd.settings.training import TrainingSettings

SOURCE_SHARE, TARGET_SHARE = 0.6, 0.25
"""What a usual batch's padded length is of the longest allowed: real assertions' p90 (31 tokens of 128)."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Training steps to be timed, of a model with random weights.

    Attributes:
        model: `ModelSettings` as JSON values.
        vocab_size: entries of the model's vocabulary.
        batch_size: examples a step.
        source: tokens of an input.
        target: tokens of a target.
        seconds: how long to measure.
    """

    model: dict[str, Any]
    vocab_size: int
    batch_size: int
    source: int
    target: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ThreadCount:
    """What was measured with this number of threads.

    Attributes:
        threads: of a job.
        alone: examples a second of one job alone.
        jobs: jobs side by side that the cores hold, as many as there are at most.
        together: examples a second of so many jobs, all together.
    """

    threads: int
    alone: float
    jobs: int
    together: float


Rates = Callable[[Workload, int, int], list[float]]
"""Examples a second of each of some jobs side by side, given what they do, their threads and their number."""


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def measure(work: Workload, jobs: int, rates: Rates | None = None, available: int | None = None) -> list[ThreadCount]:
    """Return what 1, 2, 4, … threads up to all cores make of a workload.

    Args:
        work: one job's.
        jobs: how many such jobs the run has that could go side by side.
        rates: takes the measurements, in processes of their own by default.
        available: cores; those of this machine by default.
    """
    rates, available = rates or run_trials, available or cores()
    counts = sorted({*(1 << n for n in range(available.bit_length()) if 1 << n <= available), available})
    found = []
    for threads in counts:
        (alone,) = rates(work, threads, 1)
        beside = min(jobs, available // threads)
        found.append(ThreadCount(threads, alone, beside, alone if beside == 1 else sum(rates(work, threads, beside))))
    return found


def best(counts: Sequence[ThreadCount]) -> ThreadCount:
    """Return the count with the most examples a second together; of equal ones that with the fewest threads."""
    return max(counts, key=lambda count: (count.together, -count.threads))


def run_trials(work: Workload, threads: int, jobs: int) -> list[float]:
    """Return the examples a second of so many processes side by side, each of so many threads."""
    command = [sys.executable, "-m", "assertkd.training.parallel.thread_trial", json.dumps(asdict(work)), str(threads)]
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
