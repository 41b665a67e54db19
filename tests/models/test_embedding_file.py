"""The file of a corpus's embeddings: when it serves and when it is written anew."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import torch

from assertkd.models.embedding_file import load_or_embed
from assertkd.models.encoders import TextEncoder

TEXTS = ["assertTrue(x);", "fail();", "assertTrue(x);", " fail(); ", "assertNull(y);"]


def refuse(texts: object) -> torch.Tensor:
    raise AssertionError("the encoder was asked")


def test_round_trip(tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "embeddings" / "references.safetensors"
    first, second = TextEncoder(tiny_encoder_folder), TextEncoder(tiny_encoder_folder)
    assert not load_or_embed(path, first, TEXTS)
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    monkeypatch.setattr(second, "encode", refuse)
    assert load_or_embed(path, second, TEXTS[::-1])
    monkeypatch.undo()
    expected = TextEncoder(tiny_encoder_folder).encode(["assertTrue(x);", "fail();", "assertNull(y);"])
    for encoder in (first, second):
        assert torch.equal(encoder.embed(["assertTrue(x);", "fail();", "assertNull(y);"]), expected)
        assert (encoder.hits, encoder.misses) == (3, 0)
        torch.testing.assert_close(encoder.mean, expected.mean(dim=0))


def test_of_two_that_need_it_at_once_one_computes_it(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = TextEncoder(tiny_encoder_folder), TextEncoder(tiny_encoder_folder)
    computing = Event()
    encode = first.encode

    def slowly(texts: Sequence[str]) -> torch.Tensor:
        computing.set()
        time.sleep(0.5)
        return encode(texts)

    monkeypatch.setattr(first, "encode", slowly)
    monkeypatch.setattr(second, "encode", refuse)
    with ThreadPoolExecutor() as threads:
        served = threads.submit(load_or_embed, tmp_path / "references.safetensors", first, TEXTS)
        assert computing.wait(60)
        assert load_or_embed(tmp_path / "references.safetensors", second, TEXTS)
        assert not served.result()
    assert [file.name for file in tmp_path.iterdir()] == ["references.safetensors"]


def test_other_texts_another_encoder_and_a_broken_file_are_embedded_anew(
    tiny_encoder_folder: Path, tmp_path: Path, minilm: TextEncoder
) -> None:
    path = tmp_path / "references.safetensors"
    tiny = TextEncoder(tiny_encoder_folder)
    assert not load_or_embed(path, tiny, TEXTS)
    assert not load_or_embed(path, tiny, [*TEXTS, "assertNotNull(y);"])
    assert load_or_embed(path, tiny, [*TEXTS, "assertNotNull(y);"])
    assert not load_or_embed(path, minilm, [*TEXTS, "assertNotNull(y);"])
    assert minilm.mean is not None and minilm.mean.shape == (384,)
    path.write_bytes(path.read_bytes()[:100])
    assert not load_or_embed(path, tiny, TEXTS)
    path.write_bytes(b"")
    assert not load_or_embed(path, tiny, TEXTS)
    assert load_or_embed(path, tiny, TEXTS)


def test_an_empty_corpus_is_refused(tiny_encoder: TextEncoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no texts"):
        load_or_embed(tmp_path / "references.safetensors", tiny_encoder, [])
