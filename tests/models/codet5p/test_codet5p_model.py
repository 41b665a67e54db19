"""CodeT5+ of CodeGen layers, loaded in its published form, against what the specification gives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_form import (
    DECODER,
    ENCODER,
    PAD,
    POSITIONS,
    VOCABULARY,
    published_config,
    random_weights,
    reference_logits,
    store,
)
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.export.convert import convert
from assertkd.models import generation
from assertkd.models.codet5p.model import CodeT5pModel
from assertkd.models.distillable import ModelShape
from assertkd.models.network import round_weights
from assertkd.models.registry import build_model, check_model, load_model, shape_and_parameter_count
from assertkd.models.tokenizer import load_tokenizer
from assertkd.settings import ModelSettings
from assertkd.settings.model import LoraSettings, ScratchSettings

IGNORED = -100
INPUTS = torch.tensor([[5, 6, 7, 1, 9, 12], [8, 1, PAD, PAD, PAD, PAD], [9, 10, 1, PAD, PAD, PAD]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]])
LABELS = torch.tensor([[11, 12, 1, IGNORED], [13, 1, IGNORED, IGNORED], [14, 15, 16, 1]])
# Files name no padding token, so that the tokenizer decides; here there is none.
NAMED = {"pad_token_id": PAD, "eos_token_id": 1}


@pytest.fixture
def model(tmp_path: Path) -> CodeT5pModel:
    """A tiny model in its published form, loaded."""
    config = published_config() | NAMED
    return loaded(store(tmp_path / "published", config, random_weights(config)))


def loaded(folder: Path) -> CodeT5pModel:
    model = load_model(folder).eval()
    assert isinstance(model, CodeT5pModel)
    return model


def references(config: dict[str, Any], labels: torch.Tensor = LABELS, per_input: int = 1) -> torch.Tensor:
    """Return the specification's logits at all labels, one input and one target at a time, without padding."""
    weights, found = random_weights(config), []
    for row, target in enumerate(labels):
        tokens = INPUTS[row // per_input][MASK[row // per_input] == 1].tolist()
        written = [PAD, *target[target != IGNORED].tolist()[:-1]]
        found.append(reference_logits(config, weights, tokens, written))
    return torch.tensor(np.concatenate(found), dtype=torch.float32)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("widths", ["different", "equal"])
def test_logits_are_those_of_the_specification(tmp_path: Path, widths: str, pickled: bool) -> None:
    config = published_config(encoder=ENCODER if widths == "different" else DECODER) | NAMED
    model = loaded(store(tmp_path / "published", config, random_weights(config), pickled=pickled))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.weights().keys() == random_weights(config).keys()
    close(model(INPUTS, MASK, LABELS).logits, references(config))


def test_several_targets_of_an_input(model: CodeT5pModel) -> None:
    labels = torch.stack([LABELS, LABELS.flip(0)], dim=1).flatten(0, 1)
    close(model(INPUTS, MASK, labels, targets_per_input=2).logits, references(published_config(), labels, 2))


def test_the_head_input_times_the_head_are_the_logits(model: CodeT5pModel) -> None:
    hidden = model.head_inputs(INPUTS, MASK, LABELS)
    assert hidden.shape == (9, model.hidden_size + 1) == (9, 65)
    close(hidden @ model.head_weight.T, references(published_config()))


def test_hidden_states_are_those_behind_each_layer(model: CodeT5pModel) -> None:
    states = model(INPUTS, MASK, LABELS, hidden_states=True).hidden_states
    assert [state.shape for state in states] == [(9, 64)] * 4
    shifted = torch.cat([torch.full((3, 1), PAD), LABELS[:, :-1]], dim=1)[LABELS != IGNORED]
    assert torch.equal(states[0], model.network.decoder.transformer.wte.weight[shifted])
    close(model.network.decoder.lm_head(states[-1]), references(published_config()))


def test_steps_give_the_teacher_forced_logits(model: CodeT5pModel) -> None:
    tokens = torch.randint(2, VOCABULARY, (3, 4, 8), generator=torch.Generator().manual_seed(0))
    labels = tokens.flatten(0, 1)
    expected = references(published_config(), labels, 4).view(3, 4, 8, VOCABULARY)
    with torch.inference_mode():
        steps, latest = model.decoding_steps(INPUTS, MASK, 4, 8)
        for step in range(8):
            if step == 3:
                chosen = (torch.tensor([[0], [2]]), torch.tensor([[3, 0, 1], [2, 1, 3]]))
                steps.keep(torch.tensor([0, 2]), chosen[1])
                tokens, expected, latest = tokens[chosen], expected[chosen], latest[chosen]
            close(steps.logits(latest), expected[:, :, step])
            latest = tokens[..., step]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_greedy_outputs_are_the_most_probable_tokens(
    model: CodeT5pModel, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, weights = published_config(), random_weights(published_config())
    ends, expected = [1, 20, 30, 31, 3, 25], []
    model.network.generation_config.eos_token_id = ends
    for row, mask in zip(INPUTS, MASK, strict=True):
        written = [PAD]
        while len(written) <= 12 and written[-1] not in ends:
            written.append(int(reference_logits(config, weights, row[mask == 1].tolist(), written)[-1].argmax()))
        expected.append(written[1:] + [PAD] * (13 - len(written)))
    monkeypatch.setattr(generation, "COMPACT_AT", share)
    found = model.generate(INPUTS, MASK, 12).tolist()
    assert len({*map(str, expected)}) == 3
    assert [row + [PAD] * (12 - len(row)) for row in found] == expected


def test_beam_search_is_that_of_each_input_alone(model: CodeT5pModel) -> None:
    """The best of all outputs of two tokens, since as many beams as tokens are kept."""
    config, weights = published_config(), random_weights(published_config())
    written = model.generate(INPUTS, MASK, 2, num_beams=VOCABULARY)
    model.network.generation_config.eos_token_id = []
    for row, mask, found in zip(INPUTS, MASK, written.tolist(), strict=True):
        tokens = row[mask == 1].tolist()
        first = torch.tensor(reference_logits(config, weights, tokens, [PAD])[-1]).log_softmax(0)
        both = torch.stack(
            [
                first[token] + torch.tensor(reference_logits(config, weights, tokens, [PAD, token])[-1]).log_softmax(0)
                for token in range(VOCABULARY)
            ]
        )
        assert found == list(divmod(int(both.argmax()), VOCABULARY))


def test_a_saved_model_is_in_the_published_form(
    model: CodeT5pModel, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    model.remember_length_limits(20, 8)
    model.save(tiny_tokenizer, tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    published = published_config()
    for stack, sizes in (("encoder", ENCODER), ("decoder", DECODER)):
        kept = {*sizes, "vocab_size", "is_decoder", "add_cross_attention", "model_type", "n_positions", "n_inner"}
        assert {key: config[stack][key] for key in kept} == {key: published[stack][key] for key in kept}
    assert config["model_type"] == "codet5p" and config["architectures"] == ["CodeT5pEncoderDecoderModel"]
    again = loaded(tmp_path / "saved")
    assert torch.equal(again(INPUTS, MASK, LABELS).logits, model(INPUTS, MASK, LABELS).logits)
    with pytest.raises(UserError, match=rf"data.max_input_len: 25, the model has {POSITIONS} positions"):
        model.remember_length_limits(POSITIONS + 1, 8)


def test_a_larger_vocabulary_is_cut_to_the_tokenizers(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    entries = len(tiny_tokenizer)
    sizes = {"vocab_size": entries + 60}
    config = published_config(ENCODER | sizes, DECODER | sizes)
    folder = store(tmp_path / "published", config, random_weights(config))
    model = build_model(ModelSettings(name=str(folder)), tiny_tokenizer, 0.0).eval()
    logits = model(INPUTS, MASK, LABELS).logits
    assert logits.shape == (9, entries) and model.head_weight.shape == (entries, 65)
    close(logits, references(config)[:, :entries])
    model.save(tiny_tokenizer, tmp_path / "saved")
    close(loaded(tmp_path / "saved")(INPUTS, MASK, LABELS).logits, logits)


def test_students_of_layers(model: CodeT5pModel) -> None:
    whole = model.with_layers({"encoder": (0, 1), "decoder": (0, 1, 2)}, 0.0).eval()
    assert torch.equal(whole(INPUTS, MASK, LABELS).logits, model(INPUTS, MASK, LABELS).logits)
    assert {id(weight) for weight in whole.parameters()}.isdisjoint(id(weight) for weight in model.parameters())
    config, weights = published_config(), random_weights(published_config())
    chosen = {"encoder.h.0.": "encoder.h.1.", "decoder.transformer.h.0.": "decoder.transformer.h.2."}
    chosen["decoder.transformer.h.1."] = "decoder.transformer.h.0."
    cross = {name: weight for name, weight in weights.items() if "crossattention" in name}
    own = {name: weight for name, weight in weights.items() if ".h." not in name}
    for target, source in chosen.items():
        own |= {
            name.replace(source, target): weight
            for name, weight in weights.items()
            if name.startswith(source) and name not in cross
        }
    own |= {name.replace(".h.2.", ".h.1."): weight for name, weight in cross.items()}
    config["encoder"]["n_layer"], config["decoder"]["n_layer"] = 1, 2
    part = model.with_layers({"encoder": (1,), "decoder": (2, 0)}, 0.1).eval()
    assert part.network.config.encoder.attn_pdrop == part.network.config.decoder.resid_pdrop == 0.1
    assert part.end_token_ids.tolist() == [1]
    expected = torch.tensor(reference_logits(config, own, INPUTS[0].tolist(), [PAD, 11, 12]), dtype=torch.float32)
    close(part(INPUTS, MASK, LABELS).logits[:3], expected)
    with pytest.raises(UserError, match="the teacher's decoder has no layer 3"):
        model.with_layers({"encoder": (0,), "decoder": (3,)}, 0.0)


def test_exports_are_refused(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    sizes = {"vocab_size": len(tiny_tokenizer)}
    config = published_config(ENCODER | sizes, DECODER | sizes)
    folder = store(tmp_path / "published", config, random_weights(config))
    tiny_tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match="CTranslate2 cannot express such a model"):
        convert(folder, tmp_path / "export", "float32")
    assert not (tmp_path / "export").exists()


def test_every_weight_learns(model: CodeT5pModel) -> None:
    model.train()
    loss = torch.nn.functional.cross_entropy(model(INPUTS, MASK, LABELS).logits, LABELS[LABELS != IGNORED])
    torch.autograd.backward(loss)
    assert [name for name, weight in model.weights().items() if weight.grad is None or not weight.grad.any()] == []
    grouped = {id(weight) for group in model.parameter_groups().values() for weight in group}
    assert {name for name, weight in model.weights().items() if id(weight) not in grouped} == {
        "enc_to_dec_proj.weight",
        "enc_to_dec_proj.bias",
    }


def test_adapters(model: CodeT5pModel, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    pytest.importorskip("peft")
    model.add_adapters(LoraSettings(rank=2))
    assert any("crossattention.q_attn.lora" in name for name in model.trained_weights())
    assert not any("lm_head" in name for name in model.trained_weights())
    for weight in model.trained_weights().values():
        torch.nn.init.normal_(weight, std=0.1)
    logits = model(INPUTS, MASK, LABELS).logits
    model.save(tiny_tokenizer, tmp_path / "saved")
    close(loaded(tmp_path / "saved")(INPUTS, MASK, LABELS).logits, logits)


def test_the_published_sizes_are_known_before_a_download() -> None:
    shape, parameters = shape_and_parameter_count(ModelSettings(name="Salesforce/codet5p-2b"), 400, only_local=True)
    assert shape == ModelShape(51200, width=2560, heads=32, encoder_layers=20, decoder_layers=32)
    embeddings, heads = 51200 * (1024 + 2560), 51200 * 2561
    layers = sum(n * (12 * d * d + 7 * d) + 2 * d for n, d in ((20, 1024), (32, 2560)))
    assert parameters == embeddings + heads + layers + 4 * 2560**2 + 2560 * 1025


def test_sizes_of_ones_own() -> None:
    sizes = ScratchSettings(d_model=32, d_ff=48, heads=4, encoder_layers=1, decoder_layers=2)
    config = CodeT5pModel.scratch_config(sizes, VOCABULARY)
    CodeT5pModel.check_config("scratch", config)
    model = CodeT5pModel.from_config(config, 0.2).eval()
    assert model(INPUTS, MASK, LABELS).logits.shape == (9, VOCABULARY)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.2}
    assert (model.pad_token_id, model.end_token_ids.tolist()) == (0, [1])
    assert model.network.decoder.transformer.h[-1].crossattention.q_attn.weight.std().item() == pytest.approx(
        0.02, rel=0.2
    )


Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda config: config.pop("decoder"), r"decoder\.is_decoder is None"),
        (lambda config: config["encoder"].update(is_decoder=True), r"encoder\.is_decoder is True"),
        (lambda config: config["decoder"].update(add_cross_attention=False), r"decoder\.add_cross_attention is False"),
        (lambda config: config["decoder"].update(cross_attention_hidden_size=32), "cross_attention_hidden_size is 32"),
        (lambda config: config["decoder"].update(n_head=6), r"decoder\.n_head is 6, no multiple of 4"),
        (lambda config: config["encoder"].update(rotary_dim=6), r"encoder\.rotary_dim is 6, with 4 numbers to a head"),
        (lambda config: config["encoder"].update(vocab_size=30), "encoder and decoder have different vocabularies"),
        (lambda config: config.update(encoder=3), "no model could be loaded"),
    ],
)
def test_what_no_published_model_has_is_refused(tmp_path: Path, change: Change, fault: str) -> None:
    config = published_config()
    folder = store(tmp_path / "published", config, random_weights(config))
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=fault) as caught:
        check_model(str(folder), None)
    assert caught.value.problem.startswith(str(folder)) and "\n" not in caught.value.problem


def test_missing_weights_are_named(tmp_path: Path) -> None:
    config = published_config()
    weights = random_weights(config)
    del weights["decoder.lm_head.bias"]
    with pytest.raises(UserError, match=r"1 are missing, as decoder\.lm_head\.bias"):
        load_model(store(tmp_path / "published", config, weights))


def test_a_tokenizer_without_padding_pads_with_its_end_token(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    folder = store(tmp_path / "published", published_config(), {})
    own = PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer.backend_tokenizer, eos_token="</s>", bos_token="</s>")
    own.save_pretrained(folder)
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("</s>", "</s>")
    config = published_config(ENCODER | {"vocab_size": len(own)}, DECODER | {"vocab_size": len(own)})
    model = load_model(store(folder, config, random_weights(config)), tokenizer=tokenizer)
    assert model.pad_token_id == model.network.config.decoder_start_token_id == tokenizer.eos_token_id


def test_in_bfloat16_the_vectors_are_much_the_same(model: CodeT5pModel) -> None:
    exact = model.head_inputs(INPUTS, MASK, LABELS)
    round_weights(model)
    assert all(buffer.dtype != torch.bfloat16 for buffer in model.buffers())
    coarse = model.head_inputs(INPUTS, MASK, LABELS)
    assert coarse.dtype == torch.bfloat16
    assert 0 < (coarse.float() - exact).norm() / exact.norm() < 0.05
    assert model.generate(INPUTS, MASK, 8).shape[0] == 3
