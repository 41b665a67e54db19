"""What a model costs where it predicts: latency, throughput, memory, size."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import psutil
import torch

from assertkd.evaluation.sampling import evenly_spaced
from assertkd.runtime.devices import peak_memory_mb

WARM_UP = 3
"""Inputs decoded before the clock starts: first calls allocate memory and choose kernels."""

ONE_BY_ONE, BATCHED, BATCH = 60, 128, 32
"""Inputs decoded one by one, inputs decoded in batches, and the size of a batch."""

MOST_SECONDS = 20.0
"""A measurement ends after this time, even if not all inputs are done; at least one call is timed."""


def measure_speed(
    generate: Callable[..., object], inputs: Sequence[Sequence[int]], clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return how fast `generate` decodes after a warm-up, rounded to a thousandth.

    Args:
        generate: takes inputs and `batch_size`, and returns when the texts are there.
        inputs: token ids of the split's inputs, at least one; a sample at even distances is decoded.
        clock: returns seconds.

    Returns:
        `latency_ms` and `latency_p95_ms`: time for one assertion at batch 1 in milliseconds, the median and the 95th
        percentile; `examples_per_second`: assertions a second at batch 32.
    """
    sample = evenly_spaced(inputs, BATCHED)
    generate(sample[:WARM_UP], batch_size=1)
    latencies: list[float] = []
    for one in evenly_spaced(sample, ONE_BY_ONE):
        started = clock()
        generate([one], batch_size=1)
        latencies.append(clock() - started)
        if sum(latencies) > MOST_SECONDS:
            break
    generate(sample[:BATCH], batch_size=BATCH)
    # Of similar length, as in the prediction of the whole split.
    by_length = sorted(sample, key=len, reverse=True)
    count, seconds = 0, 0.0
    for start in range(0, len(by_length), BATCH):
        batch = by_length[start : start + BATCH]
        started = clock()
        generate(batch, batch_size=BATCH)
        seconds += clock() - started
        count += len(batch)
        if seconds > MOST_SECONDS:
            break
    median, late = np.percentile(latencies, [50, 95])
    return {
        "latency_ms": round(1000 * float(median), 3),
        "latency_p95_ms": round(1000 * float(late), 3),
        "examples_per_second": round(count / seconds, 3),
    }


class MemoryMeter:
    """The memory that a model takes in this process, which must be fresh: a process's peak never falls.

    Args:
        device: where the model computes. On a GPU its memory is measured, else the process's.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = 0.0 if device.type != "cpu" else psutil.Process().memory_info().rss / 1e6

    def as_dict(self) -> dict[str, float]:
        """Return the peak so far, and how much of it came after the meter was made, in MB."""
        peak = peak_memory_mb(self.device)
        return {"peak_memory_mb": round(peak, 1), "model_memory_mb": round(max(0.0, peak - self.before), 1)}
