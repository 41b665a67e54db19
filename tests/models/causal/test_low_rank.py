"""Low-rank adapters: nothing but them is trained, and a saved model is a plain one that computes the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import random_model
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.models.distillable import DistillableModel
from assertkd.models.model_folder import ADAPTER
from assertkd.models.registry import load_model
from assertkd.settings.model import LoraSettings

pytest.importorskip("peft")
ROW, LABELS = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[9, 10, 1]])


def logits(model: DistillableModel) -> torch.Tensor:
    result: torch.Tensor = model(ROW, torch.ones_like(ROW), LABELS).logits
    return result


@pytest.mark.parametrize("kind", ["qwen2", "gpt2", "t5"])
def test_only_adapters_are_trained_and_they_are_merged(
    kind: str,
    tmp_path: Path,
    tiny_t5: Callable[..., DistillableModel],
    tiny_tokenizer: PreTrainedTokenizerFast,
) -> None:
    model = tiny_t5() if kind == "t5" else random_model(kind, vocab_size=len(tiny_tokenizer))
    model.eval()
    before, own = logits(model).detach(), {name: one.detach().clone() for name, one in model.weights().items()}
    model.add_adapters(LoraSettings(rank=2, alpha=4))
    torch.testing.assert_close(logits(model), before)
    trained = model.trained_weights()
    assert trained and all("lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)
    optimizer = torch.optim.AdamW(trained.values(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits(model), LABELS[0]).backward()
        optimizer.step()
    after = logits(model).detach()
    assert not torch.allclose(after, before)
    model.save(tiny_tokenizer, tmp_path)
    assert not (tmp_path / ADAPTER).exists()
    assert model.weights().keys() == own.keys()
    loaded = load_model(tmp_path, tokenizer=tiny_tokenizer).eval()
    torch.testing.assert_close(logits(loaded), after, rtol=1e-4, atol=1e-4)
    changed = [name for name, weight in loaded.weights().items() if not torch.equal(weight, own[name])]
    assert changed and all(own[name].ndim == 2 for name in changed)


def test_some_layers_have_them() -> None:
    model = random_model("llama")
    model.add_adapters(LoraSettings(rank=2, target_modules=("q_proj",)))
    assert len(model.trained_weights()) == 2 * 4


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5"])
def test_names_of_layers_that_cannot_have_them(kind: str, tiny_t5: Callable[..., DistillableModel]) -> None:
    model = tiny_t5() if kind == "t5" else random_model(kind)
    known, unusable = {"llama": ("q_proj", "self_attn"), "gpt2": ("c_attn", "ln_1"), "t5": ("q", "layer_norm")}[kind]
    for wrong in ("attn_proj", unusable, "all-linear", ""):
        with pytest.raises(UserError) as refused:
            model.add_adapters(LoraSettings(rank=2, target_modules=(known, wrong)))
        assert refused.value.problem == f"teacher.lora.target_modules: {wrong}: the model has no such layers"
        assert known in refused.value.remedy
    assert not [name for name in model.weights() if "lora_" in name]


def test_layers_of_one_weight_cannot_have_them(tiny_t5: Callable[..., DistillableModel]) -> None:
    for kind, head, embeddings in (("qwen2", "lm_head", "embed_tokens"), ("gpt2", "lm_head", "wte")):
        for name in (head, embeddings, f"transformer.{embeddings}" if kind == "gpt2" else f"model.{embeddings}"):
            with pytest.raises(
                UserError, match=f": {name}: the model has such layers that share their weights"
            ) as found:
                random_model(kind, tie_word_embeddings=True).add_adapters(LoraSettings(rank=2, target_modules=(name,)))
            assert head not in found.value.remedy
    with pytest.raises(UserError, match="shared, embed_tokens: the model has such layers"):
        tiny_t5().add_adapters(LoraSettings(rank=2, target_modules=("q", "shared", "embed_tokens")))


def test_a_head_of_its_own_can_have_them(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    model = random_model("llama", vocab_size=len(tiny_tokenizer))
    model.add_adapters(LoraSettings(rank=2, target_modules=("lm_head", "embed_tokens")))
    with torch.no_grad():
        for weight in model.trained_weights().values():
            weight.normal_(std=0.1)
    expected = logits(model).detach()
    model.save(tiny_tokenizer, tmp_path)
    torch.testing.assert_close(logits(load_model(tmp_path).eval()), expected, rtol=1e-3, atol=1e-3)
