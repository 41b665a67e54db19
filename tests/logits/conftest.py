"""Stores made from synthetic teachers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assertkd.corpus.targets import write_teacher_predictions
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.registry import build_codec
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.writer import StoreWriter
from assertkd.predictions import Prediction, write_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from synthetic_teacher import synthetic_teacher

PROVENANCE = Provenance(tokenizer="1" * 64, teacher="2" * 64, corpus="3" * 64)


@dataclass
class Example:
    """One example as the teacher pass hands it over."""

    id: str
    target_ids: list[int]
    hidden: np.ndarray


@pytest.fixture
def teacher() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return synthetic_teacher


@pytest.fixture
def head() -> np.ndarray:
    """A head small enough for the store tests: V = 50, d = 24."""
    return synthetic_teacher("outlier", 50, 24, 1)[0]


@pytest.fixture
def examples() -> list[Example]:
    """Forty examples of 1 to 7 target tokens for `head`."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(40):
        tokens = int(rng.integers(1, 8))
        hidden = rng.standard_normal((tokens, 24)).astype(np.float32)
        made.append(Example(f"Füße-{number}", rng.integers(0, 50, tokens).tolist(), hidden))
    return made


@pytest.fixture
def provenance() -> Provenance:
    return PROVENANCE


@pytest.fixture
def write_store(head: np.ndarray) -> Callable[..., Path]:
    """Return a function that writes examples to a store of small shards, and returns its folder."""

    def write(folder: Path, codec: Codec, examples: list[Example], **options: object) -> Path:
        writer = StoreWriter(folder, codec, head, PROVENANCE, **({"examples_per_shard": 16} | options))
        for example in examples:
            if not writer.is_done(example.id):
                writer.add(example.id, example.target_ids, example.hidden)
        writer.finish()
        return folder

    return write


@dataclass
class Run:
    """A run's folder with corpus and stores, as the workflow leaves it, and what its teacher thought.

    Attributes:
        folder: `results/{run}`.
        head: (V, d).
        hidden: record id to (T, d).
        targets: record id to the T target ids.
        predictions: record id to the teacher's prediction.
    """

    folder: Path
    head: np.ndarray
    hidden: dict[str, np.ndarray]
    targets: dict[str, list[int]]
    predictions: dict[str, str]

    def logits(self, record: str) -> np.ndarray:
        """Return the exact logits of a record, (T, V) float64."""
        return self.hidden[record].astype(np.float64) @ self.head.T.astype(np.float64)


SIZES = {"train": 7, "validation": 3, "test": 4}
LONGEST_TARGET = 24


@pytest.fixture
def make_run(tmp_path: Path, tiny_tokenizer) -> Callable[..., Run]:
    """Return a function that makes a run with a codec; of its training records every second one has no gold target."""

    def make(codec: str = "dense", name: str = "demo") -> Run:
        folder, rng = tmp_path / "results" / name, np.random.default_rng(3)
        tiny_tokenizer.save_pretrained(folder / "corpus" / "tokenizer")
        prompt = Prompt(tiny_tokenizer, 128, LONGEST_TARGET)
        run = Run(folder, synthetic_teacher("outlier", len(tiny_tokenizer), 24, 1)[0], {}, {}, {})
        for split, size in SIZES.items():
            # The longest is cut, as the targets of a test may be.
            records = [
                Record(
                    f"{split}-{n}", f"int f{n}() {{ return {n}; }}", MARKER, f'assertEquals({n}, f("{"é" * 5 * n}"));'
                )
                for n in range(size)
            ]
            write_records(folder / "corpus" / f"{split}.jsonl", records)
            run.predictions |= {record.id: f"assertTrue({split}{n});" for n, record in enumerate(records)}
            built = build_codec(codec, len(tiny_tokenizer), 24, {})
            writer = StoreWriter(folder / "logits" / split, built, run.head, PROVENANCE, examples_per_shard=3)
            for n, record in reversed(list(enumerate(records))):
                predicted = split == "train" and n % 2
                target = run.predictions[record.id] if predicted else record.assertion
                ids = prompt.encode_target(target)
                run.targets[record.id] = ids
                run.hidden[record.id] = rng.standard_normal((len(ids), 24)).astype(np.float32)
                writer.add(record.id, ids, run.hidden[record.id])
            writer.finish()
            if split == "test":
                predictions = [Prediction(r.id, run.predictions[r.id], r.assertion) for r in records]
                write_predictions(folder / "evaluation" / "teacher" / "predictions.jsonl", predictions)
        of = {split: {f"{split}-{n}": run.predictions[f"{split}-{n}"] for n in range(SIZES[split])} for split in SIZES}
        write_teacher_predictions(
            folder / "logits" / "teacher_predictions.jsonl", {s: of[s] for s in ("train", "validation")}
        )
        return run

    return make
