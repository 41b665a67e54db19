"""The teacher: what it learns from, and what its report says of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.errors import UserError
from assertkd.layout import CorpusLayout, TrainingLayout
from assertkd.models.length_limits import limits_of
from assertkd.settings import RunSettings, load_run
from assertkd.teacher.params import PretrainParams, TrainTeacherParams
from assertkd.teacher.train_teacher import pretrain, train_teacher

SIZES = {"d_model": 16, "d_ff": 32, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
CONFIG: dict[str, Any] = {
    "run": "r",
    "runs": {"r": {}},
    "data": {"embedded": {"records": 60}, "max_input_len": 96, "max_output_len": 24},
    "tokenizer": {"vocab_size": 400},
    "teacher": {
        "model": {"name": "scratch", "scratch": SIZES},
        "pretrain": {"training": {"batch_size": 16, "max_steps": 4, "lr": 0.03, "relative_lr": True, "device": "cpu"}},
        "training": {"batch_size": 16, "epochs": 2, "lr": 0.03, "relative_lr": True, "device": "cpu"},
    },
    "variants": {"x": {"loss": {"components": ["ce"]}}},
}


@pytest.fixture(scope="module")
def run() -> RunSettings:
    return load_run(CONFIG)


@pytest.fixture(scope="module")
def corpus(run: RunSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "corpus"
    prepare_corpus(PrepareCorpusParams.from_run(run), folder)
    return folder


@pytest.fixture(autouse=True)
def _deterministic_only_here() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def test_the_teacher_learns_every_gold_assertion_of_the_training_split(
    run: RunSettings, corpus: Path, tmp_path: Path
) -> None:
    train_teacher(TrainTeacherParams.from_run(run), corpus, tmp_path)
    files = TrainingLayout(tmp_path)
    report = json.loads(files.report.read_text())
    lines = CorpusLayout(corpus).train.read_text().count("\n")
    assert report["examples"]["train"] == lines
    assert set(json.loads(files.losses.read_text())) == {"ce"}
    assert limits_of(files.final_model) == (96, 24)
    assert not files.checkpoints.exists()


def test_a_corpus_that_is_not_there_is_refused_with_its_path(run: RunSettings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        train_teacher(TrainTeacherParams.from_run(run), tmp_path / "nowhere", tmp_path / "teacher")
    assert not TrainingLayout(tmp_path / "teacher").final_model.exists()


def test_the_teacher_begins_with_the_pretrained_model(run: RunSettings, corpus: Path, tmp_path: Path) -> None:
    splits = CorpusLayout(tmp_path / "corpus")
    shutil.copytree(corpus, splits.folder)
    shutil.copy(splits.train, splits.pretraining)
    shutil.copy(splits.validation, splits.pretraining_validation)
    first, second = TrainingLayout(tmp_path / "pretrain"), TrainingLayout(tmp_path / "teacher")
    pretrain(PretrainParams.from_run(run), splits.folder, first.folder)
    one_step = run.teacher.training.model_copy(update={"max_steps": 1, "lr": 1e-9})
    params = TrainTeacherParams.from_run(run).model_copy(update={"training": one_step})
    train_teacher(params, splits.folder, second.folder, pretrained=first.final_model)
    weights, start = (load_file(files.final_model / "model.safetensors") for files in (second, first))
    assert all(torch.allclose(weights[name], start[name], atol=1e-5) for name in start)
    recipe = json.loads(second.report.read_text())["recipe"]
    assert recipe["inputs"]["pretrained"] == str(first.final_model)
    assert json.loads(first.report.read_text())["recipe"]["stage"] == "pretrain"
