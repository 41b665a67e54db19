"""The frozen encoder: what it pools, what it remembers, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoTokenizer, RobertaModel

from assertkd.errors import UserError
from assertkd.models.encoders import TextEncoder, hit_rate

TEXTS = ["assertTrue(x);", "assertEquals(3, calculator.add(1, 2));", "fail();"]


def test_a_plain_transformer_is_pooled_by_the_mean_over_tokens(tiny_encoder_folder: Path) -> None:
    model = RobertaModel.from_pretrained(str(tiny_encoder_folder)).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_encoder_folder))
    expected = []
    for text in TEXTS:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = states.sum(dim=0) / len(states)
        expected.append(mean / mean.pow(2).sum().sqrt())
    torch.testing.assert_close(TextEncoder(tiny_encoder_folder).embed(TEXTS), torch.stack(expected))


def test_embeddings_are_float32_vectors_of_length_1_in_the_order_of_the_texts(tiny_encoder: TextEncoder) -> None:
    vectors = tiny_encoder.embed([*TEXTS, TEXTS[1]])
    assert vectors.dtype == torch.float32
    assert vectors.shape == (4, tiny_encoder.dimension)
    assert not vectors.requires_grad
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))
    assert torch.equal(vectors[1], vectors[3])
    assert torch.equal(tiny_encoder.embed(TEXTS[::-1]), vectors[:3].flip(0))


def test_a_cold_and_a_warm_cache_give_the_same_bits(tiny_encoder_folder: Path) -> None:
    alone, together = TextEncoder(tiny_encoder_folder), TextEncoder(tiny_encoder_folder)
    together.embed(TEXTS[1:])
    assert torch.equal(together.embed(TEXTS), torch.cat([alone.embed([text]) for text in TEXTS]))


@pytest.mark.parametrize("seed", range(4))
def test_an_embedding_does_not_depend_on_its_neighbours(minilm: TextEncoder, seed: int) -> None:
    texts = [f"assertEquals({'x' * (n % 7)}{n}, list.get({n * 37 % 11}));" for n in range(30)]
    alone = torch.cat([minilm.encode([text]) for text in texts])
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    assert torch.equal(minilm.encode([texts[n] for n in order]), alone[order])


def test_filling_up_changes_no_more_than_rounding(minilm: TextEncoder) -> None:
    expected = minilm._model.encode(TEXTS, batch_size=1, convert_to_tensor=True, show_progress_bar=False)
    torch.testing.assert_close(minilm.encode(TEXTS), expected.float(), atol=1e-6, rtol=1e-5)


def test_blank_texts_have_the_zero_vector_and_surrounding_blanks_do_not_count(tiny_encoder: TextEncoder) -> None:
    vectors = tiny_encoder.embed(["", " \n", "fail();", "  fail();\n"])
    assert not vectors[:2].any()
    assert torch.equal(vectors[2], vectors[3])
    assert tiny_encoder.embed([]).shape == (0, tiny_encoder.dimension)


def test_a_text_passes_through_the_encoder_once(tiny_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []
    encode = tiny_encoder.encode
    monkeypatch.setattr(tiny_encoder, "encode", lambda texts: passed.extend(texts) or encode(texts))
    assert hit_rate([tiny_encoder]) is None
    tiny_encoder.embed(["a", "b", "a"])
    tiny_encoder.embed(["b", "c", " c", "a"])
    assert passed == ["a", "b", "c"]
    assert (tiny_encoder.hits, tiny_encoder.misses) == (4, 3)
    assert hit_rate([tiny_encoder, tiny_encoder]) == pytest.approx(4 / 7)
    tiny_encoder.embed(["a", "gold"], counted=False)
    assert (tiny_encoder.hits, tiny_encoder.misses) == (4, 3)


def test_the_text_unused_for_longest_is_forgotten_first(tiny_encoder_folder: Path) -> None:
    encoder = TextEncoder(tiny_encoder_folder, cache_size=2)
    encoder.embed(["a", "b"])
    encoder.embed(["a"])
    encoder.embed(["c"])
    assert encoder.misses == 3
    encoder.embed(["a", "c"])
    assert encoder.misses == 3
    encoder.embed(["b"])
    assert encoder.misses == 4
    assert encoder.embed(["p", "q", "r", "s"]).shape[0] == 4


def test_pinned_embeddings_stay(tiny_encoder_folder: Path) -> None:
    encoder = TextEncoder(tiny_encoder_folder, cache_size=1)
    vectors = functional.normalize(torch.arange(1.0, 33.0).reshape(2, 16), dim=1)
    encoder.pin(["a", "b"], vectors)
    encoder.embed(["c", "d", "e"])
    misses = encoder.misses
    assert torch.equal(encoder.embed(["b", "a"]), vectors.flip(0))
    assert encoder.misses == misses
    torch.testing.assert_close(encoder.mean, (vectors[0] + vectors[1]) / 2)


def test_long_garbage_is_cut(tiny_encoder: TextEncoder) -> None:
    assert tiny_encoder.embed(["( " * 2000]).isfinite().all()


def test_the_identity_is_that_of_the_weights(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    encoder = TextEncoder(tiny_encoder_folder)
    encoder.embed(TEXTS)
    assert encoder.identity == TextEncoder(tiny_encoder_folder).identity
    for file in tiny_encoder_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert TextEncoder(tmp_path).identity == encoder.identity
    weights = load_file(tmp_path / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7, 3] += 1e-3
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert TextEncoder(tmp_path).identity != encoder.identity


def test_the_packaged_encoder_normalises_and_has_384_dimensions(minilm: TextEncoder) -> None:
    vectors = minilm.embed(TEXTS)
    assert vectors.shape == (3, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("name", ["no/such-model", "./no-such-folder"])
def test_a_missing_model_is_named(name: str) -> None:
    with pytest.raises(UserError) as fault:
        TextEncoder(name)
    assert fault.value.problem.startswith(f"{name}: no text encoder could be loaded")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as fault:
        TextEncoder(tmp_path)
    assert str(tmp_path) in fault.value.problem


def test_importing_the_text_losses_does_not_import_sentence_transformers() -> None:
    names = "contrastive, metric_risk, registry, semantic"
    code = f"import sys; from assertkd.losses import {names}; sys.exit('sentence_transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
