"""A head of its own: stored, read, copied, cut and exported as it is, though transformers 5 writes that it is tied."""

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.export.convert import convert
from assertkd.models.exported import ExportedModel
from assertkd.models.registry import build_model, check_model, load_model
from assertkd.models.t5.model import VOCABULARY, T5Model
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.settings import ModelSettings

ENTRIES = 334
"""More than the tokenizer has, as vocabularies are padded."""
INPUTS = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0], [9, 10, 1, 0]])
MASK = (INPUTS != 0).long()
LABELS = torch.tensor([[11, 12, 1, -100], [13, 1, -100, -100], [14, 15, 16, 1]])
FORMS = {
    "tied": (),
    "head": ("lm_head",),
    "head and decoder": ("lm_head", "decoder.embed_tokens"),
    "all": VOCABULARY[1:],
}


@pytest.fixture(params=FORMS)
def network(request: pytest.FixtureRequest) -> T5ForConditionalGeneration:
    """A model with weights of its own for some of what is usually one weight, as T5 1.1, mT5 and MADLAD have them."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=ENTRIES, d_model=16, d_kv=8, d_ff=32, num_heads=2, num_layers=2, decoder_start_token_id=0
    )
    config.scale_decoder_outputs = request.param == "tied"
    network = T5ForConditionalGeneration(config).eval()
    for name in FORMS[request.param]:
        network.get_submodule(name).weight = torch.nn.Parameter(torch.randn(ENTRIES, 16))
    for parameter in network.parameters():
        parameter.data.normal_(std=0.4)
    return network


@pytest.fixture
def folder(network: T5ForConditionalGeneration, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    T5Model(network).save(tiny_tokenizer, tmp_path / "model")
    assert json.loads((tmp_path / "model/config.json").read_text())["tie_word_embeddings"] is True
    return tmp_path / "model"


@pytest.fixture
def expected(network: T5ForConditionalGeneration) -> torch.Tensor:
    """The logits at the labels by transformers."""
    return network(input_ids=INPUTS, attention_mask=MASK, labels=LABELS).logits[LABELS != -100]


def logits(model: T5Model) -> torch.Tensor:
    return model.eval()(INPUTS, MASK, LABELS).logits


def test_it_is_read_from_the_folder(folder: Path, expected: torch.Tensor) -> None:
    check_model(str(folder), None)
    model = load_model(folder).eval()
    assert torch.equal(logits(model), expected)
    assert torch.equal(model.head_inputs(INPUTS, MASK, LABELS) @ model.head_weight.T, expected)


def test_layers_of_the_teacher_have_it(folder: Path, expected: torch.Tensor, tmp_path: Path) -> None:
    teacher = load_model(folder)
    student = teacher.with_layers({"encoder": [0, 1], "decoder": [0, 1]}, 0.0)
    assert torch.equal(logits(student), expected)
    assert len({id(weight) for weight in student.parameters()}) == len({id(weight) for weight in teacher.parameters()})
    assert not {id(weight) for weight in student.parameters()} & {id(weight) for weight in teacher.parameters()}
    student.save(load_text_generator(folder, torch.device("cpu")).tokenizer, tmp_path / "student")
    assert torch.equal(logits(load_model(tmp_path / "student")), expected)


def test_entries_beyond_the_tokenizers_are_cut_off(
    folder: Path, expected: torch.Tensor, tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = build_model(ModelSettings(name=str(folder)), tiny_tokenizer, 0.0)
    assert model.vocab_size == len(tiny_tokenizer) == 320
    assert torch.allclose(logits(model), expected[:, :320], atol=1e-6)
    model.save(tiny_tokenizer, tmp_path / "cut")
    again = load_model(tmp_path / "cut", tokenizer=tiny_tokenizer)
    assert torch.equal(logits(again), logits(model))
    assert build_model(ModelSettings(name=str(folder)), tiny_tokenizer, 0.0, entries=330).vocab_size == 330


def test_an_export_and_suggestions_have_it(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "export", "float32")
    original, exported = (load_text_generator(one, torch.device("cpu")) for one in (folder, tmp_path / "export"))
    assert isinstance(exported, ExportedModel)
    inputs = [[*range(start, start + 9), 1] for start in range(5, 45)]
    texts = [form.generate(inputs, batch_size=8, max_new_tokens=12) for form in (original, exported)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 10, "texts that are all alike would prove nothing"
