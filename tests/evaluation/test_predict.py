"""Prediction files of a small random model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.evaluation.params import PredictParams
from assertkd.evaluation.predict import predict
from assertkd.models.distillable import DistillableModel
from assertkd.models.torch_text_generator import load_text_generator
from assertkd.predictions import read_predictions
from assertkd.prompts.prompt import Prompt
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import EvaluationSettings

TEST = f"void t() {{ {MARKER}\n }}"
RECORDS = [
    Record("r1", "int one()", TEST, "assertEquals(1, one());", "p/q", {"family": "bounds", "licence": "MIT"}),
    Record("r2", "int two()", TEST, "assertEquals(2, two());", None, {"assertion_type": "assertEquals"}),
    Record("r3", "int three()", TEST, "assertEquals(3, three());"),
]
PARAMS = PredictParams(evaluation=EvaluationSettings(batch_size=2), max_input_len=64, max_output_len=4)


@pytest.fixture
def model(tiny_t5: Callable[..., DistillableModel], tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    tiny_t5(1).save(tiny_tokenizer, tmp_path / "final_model")
    return tmp_path / "final_model"


def test_every_record_gets_its_line(model: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "test.jsonl", RECORDS)
    predict(PARAMS, model, tmp_path / "test.jsonl", None, tmp_path)
    generator = load_text_generator(model, torch.device("cpu"))
    inputs = [Prompt(generator.tokenizer, 64, 4).encode_record(record).ids for record in RECORDS]
    texts = generator.generate(inputs, batch_size=1, max_new_tokens=4)
    assert any(texts)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
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
    assert [one.as_dict() for one in read_predictions(tmp_path / "predictions.jsonl")] == lines


def test_an_empty_split_is_refused(model: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "test.jsonl", [])
    with pytest.raises(UserError, match="no records"):
        predict(PARAMS, model, tmp_path / "test.jsonl", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
