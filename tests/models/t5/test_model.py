"""Models against transformers' own forward pass, and models that do not fit."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.t5.model import (
    TargetLogits,
    build_model,
    load_model,
    parameter_count,
    save_model,
    scratch_config,
    shift_right,
)
from assertkd.models.tokenizer import train_tokenizer
from assertkd.settings import ModelSettings
from assertkd.settings.model import ScratchSettings

Build = Callable[..., T5ForConditionalGeneration]
INPUTS = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0], [9, 10, 1, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
LABELS = torch.tensor([[11, 12, 1, -100], [13, 1, -100, -100], [14, 15, 16, 1]])


def forward(model: T5ForConditionalGeneration) -> torch.Tensor:
    """Return the project's logits at the targets of `LABELS`."""
    decoder_inputs = shift_right(LABELS, model.config.decoder_start_token_id, model.config.pad_token_id)
    return TargetLogits(model)(INPUTS, MASK, decoder_inputs, LABELS != -100)


def reference(model: T5ForConditionalGeneration) -> torch.Tensor:
    """Return transformers' logits at the same places."""
    return model(input_ids=INPUTS, attention_mask=MASK, labels=LABELS).logits[LABELS != -100]


@pytest.mark.parametrize("scaled", [True, False])
def test_logits_are_those_of_transformers(tiny_t5: Build, scaled: bool) -> None:
    model = tiny_t5().eval()
    # T5 scales what enters its head where it ties it to the embeddings; T5 1.1 does neither.
    model.config.scale_decoder_outputs = scaled
    if not scaled:
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    assert forward(model).shape == (9, model.config.vocab_size)
    assert torch.allclose(forward(model), reference(model), atol=1e-5)


def test_the_head_input_times_the_head_are_the_logits(tiny_t5: Build) -> None:
    model = tiny_t5().eval()
    decoder_inputs = shift_right(LABELS, 0, 0)
    hidden = TargetLogits(model).head_input(INPUTS, MASK, decoder_inputs, LABELS != -100)
    assert hidden.shape == (9, 16)
    assert torch.allclose(hidden @ model.lm_head.weight.T, reference(model), atol=1e-5)
    assert torch.allclose(model.lm_head.weight, model.shared.weight)


def test_the_gradient_is_that_of_transformers(tiny_t5: Build) -> None:
    model = tiny_t5().eval()
    results = []
    for logits in (forward, reference):
        model.zero_grad()
        torch.nn.functional.cross_entropy(logits(model), LABELS[LABELS != -100]).backward()
        results.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in results[0].items():
        assert torch.allclose(gradient, results[1][name], atol=1e-6), name


def test_shift_right_is_that_of_transformers(tiny_t5: Build) -> None:
    model = tiny_t5()
    assert torch.equal(shift_right(LABELS, 0, 0), model._shift_right(LABELS))
    assert shift_right(torch.tensor([[4, 5, -100]]), 9, 7).tolist() == [[9, 4, 5]]
    assert shift_right(torch.tensor([[4, -100, -100]]), 9, 7).tolist() == [[9, 4, 7]]


def test_scratch_sizes(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    sizes = ScratchSettings(d_model=24, d_ff=40, heads=3, encoder_layers=2, decoder_layers=1)
    config = scratch_config(sizes, tiny_tokenizer, 0.3)
    assert (config.d_model, config.d_kv, config.num_heads, config.d_ff) == (24, 8, 3, 40)
    assert (config.num_layers, config.num_decoder_layers, config.dropout_rate) == (2, 1, 0.3)
    assert (config.vocab_size, config.pad_token_id, config.eos_token_id) == (len(tiny_tokenizer), 0, 1)
    settings = ModelSettings(name="scratch", scratch=sizes)
    torch.manual_seed(0)
    model = build_model(settings, tiny_tokenizer, 0.3)
    # Embedding (shared with the head), attention 4·24·24, feed-forward 2·24·40, norms 24 each, positions 32·3 a stack.
    attention, feed_forward, norm, positions = 4 * 24 * 24, 2 * 24 * 40, 24, 32 * 3
    encoder = 2 * (attention + feed_forward + 2 * norm) + positions + norm
    decoder = 2 * attention + feed_forward + 3 * norm + positions + norm
    assert parameter_count(model) == len(tiny_tokenizer) * 24 + encoder + decoder


def test_the_seed_decides_the_weights(tiny_t5: Build) -> None:
    one, again, other = (forward(tiny_t5(seed).eval()) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)


def test_save_and_load(tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_t5(dropout=0.2).eval()
    save_model(model, tiny_tokenizer, tmp_path / "final_model")
    files = {path.name for path in (tmp_path / "final_model").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)
    again = load_model(tmp_path / "final_model", dropout=0.4).eval()
    assert torch.equal(forward(again), forward(model))
    assert again.config.dropout_rate == 0.4
    assert {module.p for module in again.modules() if isinstance(module, torch.nn.Dropout)} == {0.4}
    assert parameter_count(again) == parameter_count(model)
    built = build_model(ModelSettings(name=str(tmp_path / "final_model")), tiny_tokenizer, 0.0).eval()
    assert torch.equal(forward(built), forward(model))


def test_weights_are_loaded_in_float32(tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    save_model(tiny_t5().half(), tiny_tokenizer, tmp_path)
    assert {p.dtype for p in load_model(tmp_path).parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
def test_weights_in_the_form_that_the_hub_has_of_codet5(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast, precision: torch.dtype
) -> None:
    model = tiny_t5()
    save_model(model, tiny_tokenizer, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(
        {name: value.to(precision) for name, value in model.state_dict().items()}, tmp_path / "pytorch_model.bin"
    )
    loaded = load_model(tmp_path)
    assert all(weight.dtype == torch.float32 for weight in loaded.parameters())
    assert torch.allclose(forward(loaded.eval()), forward(model.eval()), atol=1e-2)


def test_a_model_without_scaling_keeps_that(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_t5().eval()
    model.config.scale_decoder_outputs = False
    save_model(model, tiny_tokenizer, tmp_path)
    assert torch.allclose(forward(load_model(tmp_path).eval()), forward(model), atol=1e-6)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    BartConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a 'bart' model, not of the T5 family"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "codet5p", "auto_map": {"AutoConfig": "x.Y"}}))
    with pytest.raises(UserError) as caught:
        load_model(tmp_path)
    assert caught.value.problem.startswith(str(tmp_path))


@pytest.mark.parametrize("name", ["no/such-model", "not a name!", "nowhere"])
def test_a_missing_model_is_named(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_model(name)
    assert caught.value.problem.startswith(f"{name}: no model could be loaded (")
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize("damage", ["missing", "cut", "garbage", "shape", "tensor"])
def test_damaged_weights_are_named(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast, damage: str
) -> None:
    save_model(tiny_t5(), tiny_tokenizer, tmp_path)
    weights = tmp_path / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "garbage":
        weights.write_bytes(b"x" * 1000)
    else:
        tensors = load_file(weights)
        if damage == "shape":
            tensors["shared.weight"] = torch.zeros(3, 16)
        else:
            del tensors["decoder.block.0.layer.0.SelfAttention.k.weight"]
        save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(UserError) as caught:
        load_model(tmp_path)
    assert caught.value.problem.startswith(f"{tmp_path}: the weights could not be loaded (")
    assert "\n" not in caught.value.problem


def test_a_vocabulary_that_is_too_small_is_refused(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    save_model(tiny_t5(), tiny_tokenizer, tmp_path)
    larger = train_tokenizer([" ".join(map("".join, product("abcdefgh", repeat=4)))], 400)
    assert len(larger) == 400
    with pytest.raises(UserError, match=r"has 320 vocabulary entries, the tokenizer has 400"):
        build_model(ModelSettings(name=str(tmp_path)), larger, 0.0)
    smaller = train_tokenizer(["a"], 300)
    assert build_model(ModelSettings(name=str(tmp_path)), smaller, 0.0).config.vocab_size == 320
