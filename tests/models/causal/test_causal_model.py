"""Decoder-only models against transformers' own forward pass."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import END, KINDS, PAD, SIZES, VOCABULARY, random_model
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    GraniteConfig,
    MambaConfig,
    PreTrainedTokenizerFast,
    Qwen2ForCausalLM,
)

from assertkd.errors import UserError
from assertkd.models.causal.model import CausalModel
from assertkd.models.distillable import IGNORED, ModelShape
from assertkd.models.network import keep_entries
from assertkd.models.registry import check_model, load_model
from assertkd.settings.model import ScratchSettings

INPUTS = torch.tensor([[5, 6, 7, 8, 9, 10, 11], [8, 12, 13, PAD, PAD, PAD, PAD], [9, PAD, PAD, PAD, PAD, PAD, PAD]])
MASK = (INPUTS != PAD).long()
LABELS = torch.tensor([[11, 12, END, -100, -100], [13, END, -100, -100, -100], [14, 15, 16, 17, END]])


def reference(model: CausalModel, inputs: torch.Tensor = INPUTS, labels: torch.Tensor = LABELS) -> torch.Tensor:
    """Return transformers' logits at the targets, of each example alone, without padding."""
    rows = []
    for one, target in zip(inputs, labels, strict=True):
        prompt, answer = one[one != PAD], target[target != IGNORED]
        with torch.no_grad():
            logits = model.network(input_ids=torch.cat([prompt, answer])[None], use_cache=False).logits[0]
        rows.append(logits[len(prompt) - 1 : -1])
    return torch.cat(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_transformers(kind: str) -> None:
    model = random_model(kind)
    logits = model(INPUTS, MASK, LABELS).logits
    assert logits.shape == (10, VOCABULARY)
    torch.testing.assert_close(logits, reference(model), rtol=1e-4, atol=1e-4)
    padded = torch.nn.functional.pad(INPUTS, (0, 9), value=3), torch.nn.functional.pad(MASK, (0, 9))
    wide = torch.nn.functional.pad(LABELS, (0, 4), value=IGNORED)
    torch.testing.assert_close(model(*padded, wide).logits, logits, rtol=1e-4, atol=1e-4)
    if kind == "gemma2":
        assert logits.abs().max() < 3.0


@pytest.mark.parametrize("kind", ["qwen2 sliding", "gemma2"])
def test_the_loss_and_its_gradient_are_those_of_transformers(kind: str) -> None:
    model, other = random_model(kind), random_model(kind)
    for number in range(3):
        prompt, answer = INPUTS[number][MASK[number] == 1], LABELS[number][LABELS[number] != IGNORED]
        labels = torch.cat([torch.full_like(prompt, IGNORED), answer])
        outputs = other.network(input_ids=torch.cat([prompt, answer])[None], labels=labels[None])
        (outputs.loss * len(answer)).backward()
    logits = model(INPUTS, MASK, LABELS).logits
    torch.nn.functional.cross_entropy(logits, LABELS[LABELS != IGNORED], reduction="sum").backward()
    for (name, own), theirs in zip(model.weights().items(), other.weights().values(), strict=True):
        assert own.grad is not None and own.grad.abs().sum() > 0, name
        torch.testing.assert_close(own.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_nothing_as_large_as_all_positions_meets_the_head() -> None:
    model = random_model("llama")
    seen: list[torch.Size] = []
    head = model.network.get_output_embeddings()
    head.register_forward_hook(lambda module, given, logits: seen.append(logits.shape))
    model(INPUTS, MASK, LABELS)
    assert seen == [(10, VOCABULARY)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_input_times_the_head_are_the_logits(kind: str) -> None:
    model = random_model(kind)
    hidden = model.head_inputs(INPUTS, MASK, LABELS)
    assert hidden.shape == (10, model.hidden_size) == (10, 32)
    logits, cap = hidden @ model.head_weight.T, model.logit_cap
    assert (cap is not None) == (kind == "gemma2")
    expected = logits if cap is None else cap * torch.tanh(logits / cap)
    torch.testing.assert_close(expected, model(INPUTS, MASK, LABELS).logits)


def test_hidden_states_are_those_of_transformers() -> None:
    model = random_model("qwen3")
    outputs = model(INPUTS, MASK, LABELS, hidden_states=True)
    row = torch.cat([INPUTS[1, :3], LABELS[1, :2]])[None]
    expected = model.network(input_ids=row, output_hidden_states=True).hidden_states
    assert len(outputs.hidden_states) == len(expected) == 5
    for state, all_positions in zip(outputs.hidden_states, expected, strict=True):
        torch.testing.assert_close(state[3:5], all_positions[0, 2:4], rtol=1e-4, atol=1e-4)
    assert model(INPUTS, MASK, LABELS).hidden_states == ()


@pytest.mark.parametrize("kind", ["qwen2", "gemma3_text"])
def test_several_targets_of_an_input(kind: str) -> None:
    model = random_model(kind)
    labels = torch.stack([LABELS, LABELS.flip(0)], dim=1).flatten(0, 1)
    logits = model(INPUTS, MASK, labels, targets_per_input=2).logits
    repeated = reference(model, INPUTS.repeat_interleave(2, 0), labels)
    torch.testing.assert_close(logits, repeated, rtol=1e-4, atol=1e-4)


def test_targets_of_one_token() -> None:
    model, labels = random_model("llama"), torch.tensor([[END], [7], [END]])
    torch.testing.assert_close(
        model(INPUTS, MASK, labels).logits, reference(model, labels=labels), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_all_layers_is_a_copy_and_of_some_is_smaller(kind: str) -> None:
    model = random_model(kind)
    copy = model.with_layers({"encoder": (0, 1, 2, 3), "decoder": (0, 1, 2, 3)}, 0.0).eval()
    assert torch.equal(copy(INPUTS, MASK, LABELS).logits, model(INPUTS, MASK, LABELS).logits)
    assert copy.end_token_ids.tolist() == [END]
    assert {id(weight) for weight in copy.parameters()}.isdisjoint(id(weight) for weight in model.parameters())
    half = model.with_layers({"encoder": (1, 3), "decoder": (1, 3)}, 0.0).eval()
    assert half.shape_of(half.network.config).decoder_layers == 2
    taken = [name for name in model.weights() if ".1." in name or ".3." in name]
    renamed = {name: name.replace(".1.", ".0.").replace(".3.", ".1.") for name in taken}
    assert taken
    for name, new in renamed.items():
        assert torch.equal(half.weights()[new], model.weights()[name])


def test_layers_that_a_decoder_does_not_have() -> None:
    with pytest.raises(UserError, match=r"has no layer 4: its layers are 0 to 3; the teacher has no encoder"):
        random_model("llama").with_layers({"encoder": (0, 4), "decoder": (1, 4)}, 0.0)


def test_layers_of_another_kind() -> None:
    model = random_model("qwen2_moe", mlp_only_layers=[0])
    kept = model.with_layers({"encoder": (0, 2), "decoder": (0, 2)}, 0.0)
    assert torch.equal(
        kept.weights()["model.layers.1.mlp.gate.weight"], model.weights()["model.layers.2.mlp.gate.weight"]
    )
    with pytest.raises(UserError, match=r"teacher_layers: \[1, 3\] puts layers in the places of another kind"):
        model.with_layers({"encoder": (1, 3), "decoder": (1, 3)}, 0.0)


@pytest.mark.parametrize("experts", ["stacked", "one by one"])
def test_an_expert_that_is_missing(experts: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    model = random_model("mixtral", vocab_size=len(tiny_tokenizer))
    model.save(tiny_tokenizer, tmp_path)
    if experts == "stacked":
        save_file(model.network.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    check_model(str(tmp_path), tiny_tokenizer)
    weights = load_file(tmp_path / "model.safetensors")
    missing = sorted(name for name in weights if "layers.2" in name and "experts" in name)[0]
    del weights[missing]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=f"the weights could not be loaded .1 are missing, as {missing}"):
        check_model(str(tmp_path), tiny_tokenizer)


def test_experts_are_trained() -> None:
    model = random_model("mixtral").train()
    before = {name: weight.detach().clone() for name, weight in model.weights().items()}
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.02), []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(model(INPUTS, MASK, LABELS).logits, LABELS[LABELS != IGNORED])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert not any(torch.equal(weight, before[name]) for name, weight in model.weights().items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_the_same(kind: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    model = random_model(kind, vocab_size=len(tiny_tokenizer) + 5)
    keep_entries(model.network, range(len(tiny_tokenizer)))
    model.remember_length_limits(48, 12)
    model.save(tiny_tokenizer, tmp_path)
    again = load_model(tmp_path, tokenizer=tiny_tokenizer).eval()
    assert type(again) is CausalModel
    assert torch.equal(again(INPUTS, MASK, LABELS).logits, model(INPUTS, MASK, LABELS).logits)
    assert again.vocab_size == len(tiny_tokenizer)
    assert again.network.generation_config.max_new_tokens == 12


def test_a_model_from_sizes() -> None:
    sizes = ScratchSettings(family="causal", d_model=24, d_ff=40, heads=3, decoder_layers=2)
    config = CausalModel.scratch_config(sizes, 50, 4, 5)
    model = CausalModel.from_config(config, 0.3).eval()
    assert CausalModel.shape_of(config) == ModelShape(50, width=24, heads=3, encoder_layers=0, decoder_layers=2)
    assert (model.pad_token_id, model.end_token_ids.tolist()) == (4, [5])
    assert model.network.config.attention_dropout == 0.3
    torch.testing.assert_close(model(INPUTS, MASK, LABELS).logits, reference(model), rtol=1e-4, atol=1e-4)
    assert list(model.parameter_groups()) == ["decoder"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"architectures": ["Qwen2ForSequenceClassification"]},
            "is a 'qwen2' model .Qwen2ForSequence",
        ),
        ({"architectures": None}, "without architectures"),
        ({"model_type": "bert", "architectures": ["BertModel"]}, "BertModel.*, which is neither"),
        ({"model_type": "chatglm"}, "is a 'chatglm' model, neither"),
        ({"vocab_size": 3}, "has 3 vocabulary entries"),
        ({"eos_token_id": 9}, "eos_token_id is 9, the tokenizer's 1"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    change: dict[str, Any], fault: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    random_model("qwen2", vocab_size=len(tiny_tokenizer)).save(tiny_tokenizer, tmp_path)
    edit(tmp_path / "config.json", change)
    with pytest.raises(UserError, match=fault):
        load_model(tmp_path, tokenizer=tiny_tokenizer)


@pytest.mark.parametrize(
    ("configuration", "sizes", "fault"),
    [
        (GraniteConfig, SIZES | {"logits_scaling": 4.0}, "scales what its head gives (logits_scaling 4.0)"),
        (CohereConfig, SIZES, "scales what its head gives (logit_scale 0.0625)"),
        (MambaConfig, {"hidden_size": 16, "num_hidden_layers": 1}, "MambaForCausalLM has layers of linear_attention"),
        (BloomConfig, {"hidden_size": 16, "n_layer": 1, "n_head": 2}, "BloomForCausalLM has no position_ids"),
    ],
)
def test_other_networks_are_refused(
    configuration: Any, sizes: dict[str, Any], fault: str, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    ids = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
    config = configuration(vocab_size=len(tiny_tokenizer), **ids, **sizes)
    CausalModel(AutoModelForCausalLM.from_config(config)).save(tiny_tokenizer, tmp_path)
    with pytest.raises(UserError) as refused:
        load_model(tmp_path, tokenizer=tiny_tokenizer)
    assert fault in refused.value.problem


def test_a_head_that_does_more_is_found_by_its_logits(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model("qwen2", vocab_size=len(tiny_tokenizer))
    # As torch initialises it; the logits of a vector of zeros are zeros, whatever the head does.
    torch.nn.init.zeros_(model.network.get_input_embeddings().weight[PAD].data)
    model.save(tiny_tokenizer, tmp_path)
    own = Qwen2ForCausalLM.forward

    def scaled(self: Any, *arguments: Any, **named: Any) -> Any:
        outputs = own(self, *arguments, **named)
        outputs.logits = outputs.logits * 1.5
        return outputs

    scaled.__signature__ = inspect.signature(own)  # type: ignore[attr-defined]
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", scaled)
    with pytest.raises(UserError, match="more than a matrix between layers and logits"):
        load_model(tmp_path, tokenizer=tiny_tokenizer)


def edit(file: Path, change: dict[str, Any]) -> None:
    """Set keys of a JSON file; None removes one."""
    content = json.loads(file.read_text()) | change
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
