"""A tiny corpus, teacher and logit store that students are distilled from."""

from collections.abc import Iterator

import pytest
import torch
from tiny_run import CONFIG, Taught

from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.prepare_unlabelled import prepare_unlabelled
from assertkd.corpus.targets import Supervision
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.compress_predictions import compress_predictions, compress_unlabelled
from assertkd.records import write_records
from assertkd.settings import (
    DataSettings,
    LogitsSettings,
    ModelSettings,
    TeacherModelSettings,
    TeacherSettings,
    TokenizerSettings,
    TrainingSettings,
    load_run,
    params,
)
from assertkd.synthetic import generate
from assertkd.teacher.train_teacher import train_teacher


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A run up to its logits, with stores along predictions and of unlabelled records."""
    folder = tmp_path_factory.mktemp("taught")
    write_records(folder / "more.jsonl", generate(40, 7, None))
    run = load_run(CONFIG)
    corpus, logits, teacher = folder / "corpus", folder / "logits", folder / "teacher/final_model"
    prepared = params.prepare_corpus(run)
    prepare_corpus(
        DataSettings(**prepared["data"]),
        TokenizerSettings(**prepared["tokenizer"]),
        ModelSettings(name=prepared["teacher"]),
        corpus,
    )
    prepare_unlabelled(folder / "more.jsonl", corpus, **params.prepare_unlabelled(run))
    settings = params.train_teacher(run)
    model, training = TeacherModelSettings(**settings["model"]), TrainingSettings(**settings["training"])
    train_teacher(
        TeacherSettings(model=model, training=training, seed=1),
        **settings["limits"],
        corpus=corpus,
        folder=teacher.parent,
    )
    settings = params.compress_logits(run)
    supervision = Supervision(**settings["supervision"])
    compress_logits(LogitsSettings(**settings["logits"]), supervision, teacher, corpus, logits)
    compress_predictions(
        LogitsSettings(**params.compress_predictions(run)["logits"]),
        supervision,
        teacher,
        corpus / "train.jsonl",
        logits / "teacher_predictions.jsonl",
        logits / "train_predictions",
    )
    settings = params.compress_unlabelled(run)
    compress_unlabelled(
        LogitsSettings(**settings["logits"]), **settings["limits"], teacher=teacher,
        records_file=corpus / "unlabelled.jsonl", folder=logits,
    )  # fmt: skip
    return Taught(folder)


@pytest.fixture(autouse=True)
def surroundings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log as a job does, and leave torch as it was: training asks for deterministic algorithms."""
    caplog.set_level("INFO", logger="assertkd")
    yield
    torch.use_deterministic_algorithms(False)
