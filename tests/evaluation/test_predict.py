"""Prediction files of a small random model."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.evaluation.predict import predict_split
from assertkd.models.t5.model import T5Model
from assertkd.models.text_generator import TorchTextGenerator
from assertkd.predictions import read_predictions
from assertkd.records import Record

RECORDS = [
    Record("r1", "int one()", "void t() {}", "assertEquals(1, one());", "p/q", {"family": "bounds", "licence": "MIT"}),
    Record("r2", "int two()", "void t() {}", "assertEquals(2, two());", None, {"assertion_type": "assertEquals"}),
    Record("r3", "int three()", "void t() {}", "assertEquals(3, three());"),
]
ENCODED = [[5, 6, 7, 1], [8, 1], [9, 10, 1]]


@pytest.fixture(scope="module")
def model() -> T5Model:
    torch.manual_seed(3)
    sizes = {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    config = T5Config(**sizes, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config).eval()
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    return T5Model(model)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel({f"w{index}": index for index in range(30)}, unk_token="w2"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="w0", eos_token="w1", unk_token="w2")


def test_every_record_gets_its_line(model: T5Model, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    texts = predict_split(TorchTextGenerator(model, tokenizer), RECORDS, ENCODED, path, batch_size=2, max_new_tokens=4)
    assert texts == TorchTextGenerator(model, tokenizer).generate(ENCODED, batch_size=1, max_new_tokens=4)
    assert any(texts)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [
        {
            "id": "r1",
            "prediction": texts[0],
            "reference": "assertEquals(1, one());",
            "project": "p/q",
            "family": "bounds",
        },
        {
            "id": "r2",
            "prediction": texts[1],
            "reference": "assertEquals(2, two());",
            "assertion_type": "assertEquals",
        },
        {"id": "r3", "prediction": texts[2], "reference": "assertEquals(3, three());"},
    ]
    assert [one.as_dict() for one in read_predictions(path)] == lines


def test_an_empty_split_is_refused(model: T5Model, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    generator = TorchTextGenerator(model, tokenizer)
    with pytest.raises(UserError, match="no records"):
        predict_split(generator, [], [], tmp_path / "p.jsonl", batch_size=2, max_new_tokens=4)
    with pytest.raises(ValueError, match="3 records, but 2"):
        predict_split(generator, RECORDS, ENCODED[:2], tmp_path / "p.jsonl", batch_size=2, max_new_tokens=4)
    assert not list(tmp_path.iterdir())
