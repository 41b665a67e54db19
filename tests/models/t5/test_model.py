"""T5 against transformers' own forward pass."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from assertkd.models.t5.model import T5Model
from assertkd.settings.model import ScratchSettings

Build = Callable[..., T5Model]
INPUTS = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0], [9, 10, 1, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
LABELS = torch.tensor([[11, 12, 1, -100], [13, 1, -100, -100], [14, 15, 16, 1]])


def forward(model: T5Model) -> torch.Tensor:
    """Return the project's logits at the targets of `LABELS`."""
    logits: torch.Tensor = model(INPUTS, MASK, LABELS).logits
    return logits


def reference(model: T5Model) -> torch.Tensor:
    """Return transformers' logits at the same places."""
    return model.network(input_ids=INPUTS, attention_mask=MASK, labels=LABELS).logits[LABELS != -100]


@pytest.mark.parametrize("scaled", [True, False])
def test_logits_are_those_of_transformers(tiny_t5: Build, scaled: bool) -> None:
    model = tiny_t5().eval()
    # T5 scales what enters its head where it ties it to the embeddings; T5 1.1 does neither.
    model.network.config.scale_decoder_outputs = scaled
    if not scaled:
        model.network.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.head_weight))
    assert forward(model).shape == (9, model.vocab_size)
    assert torch.allclose(forward(model), reference(model), atol=1e-5)


def test_the_head_input_times_the_head_are_the_logits(tiny_t5: Build) -> None:
    model = tiny_t5().eval()
    hidden = model.head_inputs(INPUTS, MASK, LABELS)
    assert hidden.shape == (9, model.hidden_size) == (9, 16)
    assert torch.equal(hidden @ model.head_weight.T, forward(model))
    assert torch.equal(model.head_weight, model.network.shared.weight)
    assert not model.head_weight.requires_grad


def test_hidden_states_are_those_of_transformers(tiny_t5: Build) -> None:
    model = tiny_t5(sizes=ScratchSettings(d_model=16, d_ff=32, heads=2, encoder_layers=1, decoder_layers=3)).eval()
    outputs = model(INPUTS, MASK, LABELS, hidden_states=True)
    expected = model.network(
        input_ids=INPUTS, attention_mask=MASK, labels=LABELS, output_hidden_states=True
    ).decoder_hidden_states
    assert len(outputs.hidden_states) == len(expected) == 4
    for state, all_positions in zip(outputs.hidden_states, expected, strict=True):
        assert state.shape == (9, 16)
        assert torch.equal(state, all_positions[LABELS != -100])
    assert torch.equal(outputs.logits, forward(model))
    assert model(INPUTS, MASK, LABELS).hidden_states == ()


def test_several_targets_of_an_input(tiny_t5: Build) -> None:
    model = tiny_t5().eval()
    labels = torch.stack([LABELS, LABELS.flip(0)], dim=1).flatten(0, 1)
    logits = model(INPUTS, MASK, labels, targets_per_input=2).logits
    repeated = model(INPUTS.repeat_interleave(2, 0), MASK.repeat_interleave(2, 0), labels).logits
    assert torch.allclose(logits, repeated, atol=1e-6)


def test_every_weight_has_the_name_that_it_is_saved_by(
    tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = tiny_t5()
    weights = model.weights()
    model.save(tiny_tokenizer, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert weights.keys() == saved.keys()
    assert all(torch.equal(weight, saved[name]) for name, weight in weights.items())
    assert [*map(id, weights.values())] == [*map(id, model.parameters())], "in the same order"
    groups = model.parameter_groups()
    assert {id(weight) for group in groups.values() for weight in group} == {*map(id, weights.values())}
    shared = {id(weight) for weight in groups["encoder"]} & {id(weight) for weight in groups["decoder"]}
    assert shared == {id(weights["shared.weight"])}


def test_the_gradient_is_that_of_transformers(tiny_t5: Build) -> None:
    model = tiny_t5().eval()
    results = []
    for logits in (forward, reference):
        model.zero_grad()
        torch.nn.functional.cross_entropy(logits(model), LABELS[LABELS != -100]).backward()
        results.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, gradient in results[0].items():
        assert torch.allclose(gradient, results[1][name], atol=1e-6), name


def test_targets_are_shifted_behind_the_start_token(tiny_t5: Build) -> None:
    model = tiny_t5()
    model.network.config.decoder_start_token_id, model.network.config.pad_token_id = 9, 7
    shift = model.network.prepare_decoder_input_ids_from_labels
    assert shift(torch.tensor([[4, 5, -100]])).tolist() == [[9, 4, 5]]
    assert shift(torch.tensor([[4, -100, -100]])).tolist() == [[9, 4, 7]]


def test_the_seed_decides_the_weights(tiny_t5: Build) -> None:
    one, again, other = (forward(tiny_t5(seed).eval()) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
