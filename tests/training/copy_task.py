"""A task that a model of two layers learns in a second, a teacher for it, and what a training leaves, to compare."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Example, Payload
from assertkd.settings.model import ScratchSettings
from assertkd.training.tables import MEASURED

VOCABULARY = 320
SIZES = ScratchSettings(d_model=32, d_ff=64, heads=2, encoder_layers=1, decoder_layers=1)


class OneHot:
    """A teacher that is sure of every target, or (for the ids in `broken`) says NaN."""

    def __init__(self, vocab_size: int, broken: Sequence[str] = ()) -> None:
        self.vocab_size, self.broken = vocab_size, broken

    def read_example(self, example: Example) -> Payload:
        rows = np.zeros((len(example.target_ids), self.vocab_size), np.float16)
        rows[np.arange(len(rows)), example.target_ids] = np.nan if example.id in self.broken else 8.0
        return {"logits": rows}

    def collate_views(self, payloads: Sequence[Payload]) -> DenseView:
        return DenseView(torch.from_numpy(np.concatenate([payload["logits"] for payload in payloads])))


def copy_task(count: int, start: int = 0) -> list[Example]:
    """Return examples whose target is the first token of their input, twice."""
    return [
        Example(f"e{n}", [10 + n % 8, 30 + n % 5, 1], [10 + n % 8, 10 + n % 8, 1], target=f"a{n % 8}();")
        for n in range(start, start + count)
    ]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def unmeasured(path: Path) -> list[dict[str, str]]:
    """Return a table's rows, every value as it is written, without those that no two runs have in common."""
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows(path)]


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return TensorBoard's curves, tag to steps and values, without those that no two runs have in common.

    In the steps' order: files of starts within one second are read by their names, which end in a running number.
    """
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    measured = {f"Training/{name}" for name in MEASURED}
    return {
        tag: sorted((event.step, event.value) for event in events.Scalars(tag))
        for tag in events.Tags()["scalars"]
        if tag not in measured
    }


def what_is_left(folder: Path) -> dict[str, Any]:
    """Return all that a training left and that is the same in every run: weights, tables, curves, summaries."""
    return {
        "weights": (folder / "final_model/model.safetensors").read_bytes(),
        "steps": unmeasured(folder / "step_metrics.csv"),
        "epochs": unmeasured(folder / "training_metrics.csv"),
        "curves": curves(folder / "tensorboard"),
        "losses": (folder / "multi_component_loss_summary.json").read_bytes(),
        "summaries": sorted(path.name for path in folder.glob("epoch_*_summary.json")),
    }
