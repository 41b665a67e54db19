"""Stores made from synthetic teachers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assertkd.logits.codec import Codec
from assertkd.logits.manifest import Provenance
from assertkd.logits.store_writer import StoreWriter
from assertkd.logits.synthetic import synthetic_teacher

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
    """Return a function that writes examples to a store of small shards and blocks, and returns its folder."""

    def write(folder: Path, codec: Codec, examples: list[Example], **options: object) -> Path:
        sizes = {"rows_per_shard": 16, "block_bytes": 600}
        with StoreWriter(folder, codec, head, PROVENANCE, **(sizes | options)) as writer:
            for example in examples:
                if not writer.is_done(example.id):
                    writer.add(example.id, example.target_ids, example.hidden)
            writer.finish()
        return folder

    return write
