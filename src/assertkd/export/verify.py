"""Compares an export with its original: texts, size and speed."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.metrics.exact_match import exact_match
from assertkd.metrics.overlap import f1
from assertkd.models.exported import TOKENIZER
from assertkd.models.length_limits import Limits
from assertkd.models.text_generator import TextGenerator
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record

BATCH_SIZE = 32
WARM_UP = 3
LATENCIES = 100
"""Number of records that are timed at batch size 1."""

Clock = Callable[[], float]


def compare(
    original: TextGenerator,
    exported: TextGenerator,
    records: Sequence[Record],
    limits: Limits,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Return how much two forms of one model agree, and how fast each is on this machine.

    Args:
        original: the model as it was trained.
        exported: the same in another form.
        records: at least one.
        limits: lengths of the longest input and text.
        clock: returns seconds.

    Returns:
        `examples`; `identical`: share of records for which both write the same text; `token_f1`: mean token F1 between
        the two; `exact_match` and `speed` of each: `latency_ms` (median at batch size 1), `latency_p95_ms`,
        `examples_per_second` at batch size 32; `latency_ratio` and `throughput_ratio`: how many times faster the export
        is; `different`: up to ten records for which they differ.
    """
    texts, speeds = {}, {}
    for name, generator in (("original", original), ("exported", exported)):
        prompt = Prompt(generator.tokenizer, limits.input, limits.output)
        inputs = [prompt.encode_record(record).ids for record in records]
        texts[name], speeds[name] = generate_and_time(generator, inputs, limits.output, clock)
    pairs = list(zip(texts["original"], texts["exported"], strict=True))
    return {
        "examples": len(records),
        "identical": statistics.fmean(one == other for one, other in pairs),
        "token_f1": statistics.fmean(f1(other, one) for one, other in pairs),
        "exact_match": {
            name: statistics.fmean(
                exact_match(text, record.assertion) for text, record in zip(of_form, records, strict=True)
            )
            for name, of_form in texts.items()
        },
        "speed": speeds,
        "latency_ratio": speeds["original"]["latency_ms"] / speeds["exported"]["latency_ms"],
        "throughput_ratio": speeds["exported"]["examples_per_second"] / speeds["original"]["examples_per_second"],
        "different": [
            {"id": record.id, "original": one, "exported": other}
            for record, (one, other) in zip(records, pairs, strict=True)
            if one != other
        ][:10],
    }


def generate_and_time(
    generator: TextGenerator, inputs: Sequence[Sequence[int]], max_output_len: int, clock: Clock = time.perf_counter
) -> tuple[list[str], dict[str, float]]:
    """Return the text for every input, generated at batch size 32, and the speed at that size and at 1."""

    def generate(some: Sequence[Sequence[int]], batch_size: int) -> tuple[list[str], float]:
        started = clock()
        texts = generator.generate(some, batch_size=batch_size, max_new_tokens=max_output_len)
        return texts, clock() - started

    generate(inputs[:WARM_UP], 1)
    texts, seconds = generate(inputs, BATCH_SIZE)
    step = max(1, len(inputs) // LATENCIES)
    latencies = [1000 * generate([one], 1)[1] for one in inputs[::step]]
    median, late = np.percentile(latencies, [50, 95])
    return texts, {
        "latency_ms": float(median),
        "latency_p95_ms": float(late),
        "examples_per_second": len(inputs) / seconds,
    }


def size_of(folder: Path) -> dict[str, int]:
    """Return the bytes of a model's folder, `model_bytes` without the tokenizer, `all_bytes` with it."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    of_tokenizer = [file for file in files if TOKENIZER in str(file.relative_to(folder)) or _is_tokenizer(file.name)]
    everything = sum(file.stat().st_size for file in files)
    return {"model_bytes": everything - sum(file.stat().st_size for file in of_tokenizer), "all_bytes": everything}


def _is_tokenizer(name: str) -> bool:
    return name.startswith(("tokenizer", "special_tokens", "added_tokens", "merges", "vocab."))
