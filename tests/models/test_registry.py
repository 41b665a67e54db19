"""Models by name: built, saved, loaded again, and refused where they do not fit."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.distillable import DistillableModel, ModelShape
from assertkd.models.registry import (
    FAMILIES,
    build_model,
    load_model,
    parameter_count,
    random_model,
    shape_and_parameter_count,
    weights_file,
)
from assertkd.models.t5.model import T5Model
from assertkd.models.tokenizer import train_tokenizer
from assertkd.settings import ModelSettings
from assertkd.settings.model import ScratchSettings

Build = Callable[..., DistillableModel]
INPUTS = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0], [9, 10, 1, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
LABELS = torch.tensor([[11, 12, 1, -100], [13, 1, -100, -100], [14, 15, 16, 1]])


def network_of(model: DistillableModel) -> T5ForConditionalGeneration:
    assert isinstance(model, T5Model)
    return model.network


def forward(model: DistillableModel) -> torch.Tensor:
    """Return the logits at the targets of `LABELS`."""
    logits: torch.Tensor = model(INPUTS, MASK, LABELS).logits
    return logits


def test_scratch_sizes(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    sizes = ScratchSettings(d_model=24, d_ff=40, heads=3, encoder_layers=2, decoder_layers=1)
    settings = ModelSettings(name="scratch", scratch=sizes)
    torch.manual_seed(0)
    model = build_model(settings, tiny_tokenizer, 0.3)
    config = network_of(model).config
    assert (config.d_model, config.d_kv, config.num_heads, config.d_ff) == (24, 8, 3, 40)
    assert (config.num_layers, config.num_decoder_layers, config.dropout_rate) == (2, 1, 0.3)
    assert (config.vocab_size, config.pad_token_id, config.eos_token_id) == (len(tiny_tokenizer), 0, 1)
    assert config.decoder_start_token_id == 0
    # Embedding (shared with the head), attention 4·24·24, feed-forward 2·24·40, norms 24 each, positions 32·3 a stack.
    attention, feed_forward, norm, positions = 4 * 24 * 24, 2 * 24 * 40, 24, 32 * 3
    encoder = 2 * (attention + feed_forward + 2 * norm) + positions + norm
    decoder = 2 * attention + feed_forward + 3 * norm + positions + norm
    assert parameter_count(model) == len(tiny_tokenizer) * 24 + encoder + decoder
    shape = ModelShape(len(tiny_tokenizer), width=24, heads=3, encoder_layers=2, decoder_layers=1)
    assert shape_and_parameter_count(settings, len(tiny_tokenizer)) == (shape, parameter_count(model))
    assert parameter_count(random_model(settings, len(tiny_tokenizer))) == parameter_count(model)


def test_save_and_load(tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_t5(dropout=0.2).eval()
    model.save(tiny_tokenizer, tmp_path / "final_model")
    files = {path.name for path in (tmp_path / "final_model").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)
    again = load_model(tmp_path / "final_model", dropout=0.4).eval()
    assert torch.equal(forward(again), forward(model))
    assert network_of(again).config.dropout_rate == 0.4
    assert {module.p for module in again.modules() if isinstance(module, torch.nn.Dropout)} == {0.4}
    assert parameter_count(again) == parameter_count(model)
    built = build_model(ModelSettings(name=str(tmp_path / "final_model")), tiny_tokenizer, 0.0).eval()
    assert torch.equal(forward(built), forward(model))


def test_weights_are_loaded_in_float32(tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    tiny_t5().half().save(tiny_tokenizer, tmp_path)
    assert {p.dtype for p in load_model(tmp_path).parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
def test_weights_in_the_form_that_the_hub_has_of_codet5(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast, precision: torch.dtype
) -> None:
    model = tiny_t5()
    model.save(tiny_tokenizer, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(
        {name: value.to(precision) for name, value in network_of(model).state_dict().items()},
        tmp_path / "pytorch_model.bin",
    )
    loaded = load_model(tmp_path)
    assert all(weight.dtype == torch.float32 for weight in loaded.parameters())
    assert torch.allclose(forward(loaded.eval()), forward(model.eval()), atol=1e-2)


def test_a_model_without_scaling_keeps_that(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_t5().eval()
    network_of(model).config.scale_decoder_outputs = False
    model.save(tiny_tokenizer, tmp_path)
    assert torch.allclose(forward(load_model(tmp_path).eval()), forward(model), atol=1e-6)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    BartConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"is a 'bart' model \(.*\), which is neither of the T5 family"):
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
    tiny_t5().save(tiny_tokenizer, tmp_path)
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
    tiny_t5().save(tiny_tokenizer, tmp_path)
    larger = train_tokenizer([" ".join(map("".join, product("abcdefgh", repeat=4)))], 400)
    assert len(larger) == 400
    with pytest.raises(UserError, match=r"has 320 vocabulary entries, the tokenizer has 400"):
        build_model(ModelSettings(name=str(tmp_path)), larger, 0.0)


@pytest.mark.parametrize("name", list(T5Model.published))
def test_published_models_are_known_before_a_download(name: str) -> None:
    shape, parameters = shape_and_parameter_count(ModelSettings(name=name), 400, only_local=True)
    millions = {"codet5p-770m": 737.6, "codet5p-220m": 222.9, "codet5-small": 60.5}[name.split("/")[1]]
    assert parameters / 1e6 == pytest.approx(millions, abs=0.1)
    assert shape.vocab_size == 32100


def test_the_weights_file(tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        weights_file(tmp_path)
    tiny_t5().save(tiny_tokenizer, tmp_path)
    assert weights_file(tmp_path) == tmp_path / "model.safetensors"


class ToyModel(T5Model):
    """A second family: a class, and one line of the registry."""


def test_a_second_family_is_one_line(
    tmp_path: Path, tiny_t5: Build, tiny_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_t5().eval()
    model.save(tiny_tokenizer, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "mt5"}))
    with pytest.raises(UserError, match="is a 'mt5' model"):
        load_model(tmp_path)
    monkeypatch.setitem(FAMILIES, "mt5", ToyModel)
    loaded = load_model(tmp_path).eval()
    assert type(loaded) is ToyModel
    assert torch.equal(forward(loaded), forward(model))
