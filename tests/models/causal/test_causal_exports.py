"""Exports of decoder-only models: the texts and scores of transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import random_model
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.export.convert import convert
from assertkd.files import read_json, write_json
from assertkd.models.exported import ExportedModel
from assertkd.models.torch_text_generator import TorchTextGenerator, load_text_generator

THETA = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e3}}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("smollm2", {}), ("llama", THETA), ("qwen2", THETA), ("qwen3", THETA), ("gemma3_text", {"sliding_window": 512})],
)
def test_an_export_writes_what_its_original_writes(
    kind: str, changes: dict[str, Any], tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    random_model(kind, vocab_size=len(tiny_tokenizer), **changes).save(tiny_tokenizer, tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "export", "float32")
    original, exported = (load_text_generator(tmp_path / name, torch.device("cpu")) for name in ("model", "export"))
    assert isinstance(original, TorchTextGenerator) and isinstance(exported, ExportedModel)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 40, (24,), generator=generator).tolist()
    inputs = [torch.randint(4, len(tiny_tokenizer), (n,), generator=generator).tolist() for n in lengths]
    for batch_size in (1, 16):
        before, after = (
            form.generate(inputs, batch_size=batch_size, max_new_tokens=8) for form in (original, exported)
        )
        assert len(set(before)) > 12, "texts that are all alike would prove nothing"
        assert sum(one == other for one, other in zip(before, after, strict=True)) >= 23
    [(ids, score)] = exported.best_hypotheses(inputs[0], 1, 8)
    labels = torch.tensor([[*ids, 1] if len(ids) < 8 else ids])
    row = torch.tensor([inputs[0]])
    logits = original.model(row, torch.ones_like(row), labels).logits
    assert score == pytest.approx(logits.log_softmax(-1).gather(1, labels.T).mean().item(), abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("starcoder2", r"such a model .*Starcoder2Config"),
        ("mixtral", r"such a model .*MixtralConfig"),
        ("gemma2", r"the caps of a gemma2 .final_logit_softcapping, attn_logit_softcapping."),
    ],
)
def test_what_ctranslate2_cannot_express(
    kind: str, said: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    random_model(kind, vocab_size=len(tiny_tokenizer)).save(tiny_tokenizer, tmp_path / "model")
    with pytest.raises(UserError, match=f"CTranslate2 cannot express {said}"):
        convert(tmp_path / "model", tmp_path / "export", "float32")


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_model_of_fewer_heads_is_refused(kind: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    random_model(kind, vocab_size=len(tiny_tokenizer)).narrowed(2, 12).save(tiny_tokenizer, tmp_path / "model")
    with pytest.raises(UserError, match=f"CTranslate2 cannot express a {kind} whose 2 heads of 8 are not as wide"):
        convert(tmp_path / "model", tmp_path / "export", "float32")


def test_a_damaged_description(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    random_model("llama", vocab_size=len(tiny_tokenizer)).save(tiny_tokenizer, tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "export", "float32")
    file = tmp_path / "export/export.json"
    assert read_json(file)["decoder_only"] is True
    write_json(file, read_json(file) | {"decoder_only": "yes"})
    with pytest.raises(UserError, match="decoder_only has another type"):
        ExportedModel(tmp_path / "export")
