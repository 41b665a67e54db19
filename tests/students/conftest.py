"""A tiny corpus, teacher and logit store that students are distilled from."""

from collections.abc import Iterator

import pytest
import torch
from tiny_run import CONFIG, Taught

from assertkd.corpus.params import PrepareCorpusParams, PrepareUnlabelledParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.prepare_unlabelled import prepare_unlabelled
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.compress_predictions import compress_predictions
from assertkd.logits.compress_unlabelled import compress_unlabelled
from assertkd.logits.params import CompressLogitsParams, CompressPredictionsParams, CompressUnlabelledParams
from assertkd.records import write_records
from assertkd.settings import load_run
from assertkd.synthetic import generate
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A run up to its logits, with stores along predictions and of unlabelled records."""
    folder = tmp_path_factory.mktemp("taught")
    write_records(folder / "more.jsonl", generate(40, 7, None))
    run = load_run(CONFIG)
    corpus, logits, teacher = folder / "corpus", folder / "logits", folder / "teacher/final_model"
    prepare_corpus(PrepareCorpusParams.from_run(run), corpus)
    prepare_unlabelled(PrepareUnlabelledParams.from_run(run), folder / "more.jsonl", corpus)
    train_teacher(TrainTeacherParams.from_run(run).model_copy(update={"seed": 1}), corpus=corpus, folder=teacher.parent)
    compress_logits(CompressLogitsParams.from_run(run), teacher, corpus, logits)
    compress_predictions(
        CompressPredictionsParams.from_run(run),
        teacher,
        corpus / "train.jsonl",
        logits / "teacher_predictions.jsonl",
        logits / "train_predictions",
    )
    compress_unlabelled(CompressUnlabelledParams.from_run(run), teacher, corpus / "unlabelled.jsonl", logits)
    return Taught(folder)


@pytest.fixture(autouse=True)
def _as_in_a_job(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log as a job does, and leave torch as it was: training asks for deterministic algorithms."""
    caplog.set_level("INFO", logger="assertkd")
    yield
    torch.use_deterministic_algorithms(False)
