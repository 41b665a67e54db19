"""Synthetic teachers, and stores made from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assertkd.logits.codec import Codec
from assertkd.logits.manifest import Provenance
from assertkd.logits.store_writer import StoreWriter

PROVENANCE = Provenance(tokenizer="1" * 64, teacher="2" * 64, corpus="3" * 64)


@dataclass
class Example:
    """One example as the teacher pass hands it over."""

    id: str
    target_ids: list[int]
    hidden: np.ndarray


def synthetic_teacher(
    kind: str, vocab_size: int, width: int, tokens: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return a head (V, d) with a decaying spectrum, and hidden vectors (tokens, d) from sharp to undecided ones.

    "outlier" gives six dimensions magnitudes 10 to 60 times the others' and small columns; in "rogue" those columns
    have a large mean as well, as trained transformers have them.
    """
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    spectrum = np.exp(-np.arange(width) * 2.5 / width)
    head = (rng.standard_normal((vocab_size, width)) * spectrum) @ rotation.T
    head *= np.exp(0.3 * rng.standard_normal(width))
    hidden = rng.standard_normal((tokens, width)) * np.exp(0.5 * rng.standard_normal(width))
    hidden *= 2.5 / (hidden @ head.T).std()
    wanted = head[rng.integers(0, vocab_size, tokens)]
    hidden += (rng.uniform(0, 25, tokens) / (wanted**2).sum(axis=1))[:, None] * wanted
    if kind != "plain":
        dimensions = rng.choice(width, 6, replace=False)
        magnitudes = np.array([60, 40, 30, 20, 15, 10])
        signs = np.sign(rng.standard_normal(6))
        hidden[:, dimensions] = hidden.std() * magnitudes * signs * (1 + 0.1 * rng.standard_normal((tokens, 6)))
        head[:, dimensions] /= magnitudes
        if kind == "rogue":
            head[:, dimensions] += 0.5 * head.std()
    return head.astype(np.float32), hidden.astype(np.float32)


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
