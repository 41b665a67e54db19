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
    with pytest.raises(UserError) as refused:
        random_model("llama").add_adapters(LoraSettings(rank=2, target_modules=("attn",)))
    assert refused.value.problem == "teacher.lora.target_modules: attn: the model has no such layers"
    assert "q_proj" in refused.value.remedy
