"""Speed by a clock that is moved by hand; memory of a process that loads and writes."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.evaluation.cost import BATCH, BATCHED, MOST_SECONDS, ONE_BY_ONE, WARM_UP, measure_speed
from assertkd.evaluation.params import PredictParams
from assertkd.evaluation.predict import predict
from assertkd.models.distillable import DistillableModel
from assertkd.predictions import read_predictions
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import EvaluationSettings
from preloaded import python


class TextGenerator:
    """Takes a millisecond for each token of a batch's longest input; ten the first time of each batch size."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[list[int], int]] = []

    def __call__(self, inputs: Sequence[Sequence[int]], batch_size: int) -> None:
        slow = 10 if batch_size not in {size for _, size in self.calls} else 1
        for start in range(0, len(inputs), batch_size):
            self.now += slow * max(len(one) for one in inputs[start : start + batch_size]) / 1000
        self.calls.append(([len(one) for one in inputs], batch_size))

    def clock(self) -> float:
        return self.now


def test_latency_and_throughput_after_a_warm_up() -> None:
    write = TextGenerator()
    lengths = [1 + 7 * n % 400 for n in range(800)]
    speed = measure_speed(write, [[0] * length for length in lengths], write.clock)
    timed = [call for call in write.calls if call[1] == 1 and len(call[0]) == 1]
    assert write.calls[0][1] == 1
    assert len(write.calls[0][0]) == WARM_UP
    assert len(timed) == ONE_BY_ONE
    one_by_one = [call[0][0] for call in timed]
    assert speed["latency_ms"] == pytest.approx(np.median(one_by_one), abs=5e-4)
    assert speed["latency_p95_ms"] == pytest.approx(np.percentile(one_by_one, 95), abs=5e-4)
    warm_up, *batches = [call for call in write.calls if call[1] == BATCH]
    assert len(warm_up[0]) == BATCH
    assert [len(call[0]) for call in batches] == [BATCH] * (BATCHED // BATCH)
    throughput = 1000 * BATCHED / sum(max(call[0]) for call in batches)
    assert speed["examples_per_second"] == pytest.approx(throughput, abs=5e-4)
    # Inputs of like length share a batch.
    assert sum(max(call[0]) for call in batches) < 4 * max(lengths)


def test_few_inputs_and_slow_models() -> None:
    write = TextGenerator()
    speed = measure_speed(write, [[0] * 8], write.clock)
    assert (speed["latency_ms"], speed["latency_p95_ms"]) == (pytest.approx(8.0), pytest.approx(8.0))
    assert speed["examples_per_second"] == pytest.approx(1000 / 8)
    slow = TextGenerator()
    seconds = round(1000 * MOST_SECONDS * 0.6)
    measure_speed(slow, [[0] * seconds for _ in range(200)], slow.clock)
    assert sum(size == 1 for _, size in slow.calls) == 1 + 2, "the warm-up, and two before the time is over"
    assert sum(size == BATCH for _, size in slow.calls) == 1 + 2


@pytest.fixture
def finished_model(
    tiny_t5: Callable[..., DistillableModel], tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> Path:
    folder = tmp_path / "final_model"
    tiny_t5(1).save(tiny_tokenizer, folder)
    records = [
        Record(f"r{n}", f"int f{n}()", f"void t() {{ {MARKER} }}", f"assertEquals({n}, f());") for n in range(40)
    ]
    write_records(tmp_path / "test.jsonl", records)
    return folder


def test_what_is_measured_of_a_model(finished_model: Path, tmp_path: Path) -> None:
    settings = EvaluationSettings(batch_size=8, limit=20)
    params = PredictParams(evaluation=settings, max_input_len=64, max_output_len=12)
    predict(params, finished_model, tmp_path / "test.jsonl", None, tmp_path)
    measured = json.loads((tmp_path / "measured.json").read_text())
    model = T5ForConditionalGeneration.from_pretrained(str(finished_model))
    assert measured["parameters"] == sum(each.numel() for each in model.parameters())
    assert measured["disk_bytes"] == sum(file.stat().st_size for file in finished_model.iterdir())
    assert measured["examples"] == len(list(read_predictions(tmp_path / "predictions.jsonl"))) == 20
    assert 0 < measured["latency_ms"] <= measured["latency_p95_ms"]
    assert measured["examples_per_second"] > 0
    assert measured["device"] == "cpu"
    assert measured["threads"] == torch.get_num_threads()


MEASURE = """
import sys
from pathlib import Path
from assertkd.evaluation import predict as stage
from assertkd.evaluation.params import PredictParams
from assertkd.settings import EvaluationSettings

folder, load = Path(sys.argv[1]), stage.load_text_generator

def heavy(*arguments):
    model = load(*arguments)
    model.ballast = bytearray(b"x") * (int(sys.argv[2]) * 10**6)
    return model

stage.load_text_generator = heavy
params = PredictParams(evaluation=EvaluationSettings(limit=4), max_input_len=64, max_output_len=4)
stage.predict(params, folder / "final_model", folder / "test.jsonl", None, folder)
"""


def test_memory_is_that_of_a_fresh_process(finished_model: Path, tmp_path: Path) -> None:
    """A model of 300 MB more takes 300 MB more."""
    found = []
    for extra in ("0", "300"):
        subprocess.run([python(), "-c", MEASURE, str(tmp_path), extra], check=True, timeout=300)
        found.append(json.loads((tmp_path / "measured.json").read_text()))
    light, heavy = found
    assert heavy["peak_memory_mb"] - light["peak_memory_mb"] == pytest.approx(300, abs=40)
    assert heavy["model_memory_mb"] - light["model_memory_mb"] == pytest.approx(300, abs=40)
    assert light["model_memory_mb"] < 200 < light["peak_memory_mb"]
