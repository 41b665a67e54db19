"""Decoder-only students of a decoder-only teacher: every codec, token losses, losses on samples, their own outputs."""

import csv
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import CONFIG, Taught

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.evaluation.params import PredictParams
from assertkd.evaluation.predict import predict
from assertkd.export.convert import convert
from assertkd.files import read_json
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.losses.registry import COMPONENTS, TokenComponent
from assertkd.models.causal.model import CausalModel
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.torch_text_generator import TorchTextGenerator, load_text_generator
from assertkd.prompts.prompt import Prompt
from assertkd.prompts.prompt_form import KEY
from assertkd.records import read_records
from assertkd.settings import load_run
from assertkd.settings.load import merged_over
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher

CAUSAL = merged_over(
    deepcopy(CONFIG),
    {
        "data": {"unlabelled": None, "max_input_len": 120},
        "teacher": {"model": {"scratch": {"family": "causal"}}},
        "distillation": {"model": {"scratch": {"family": "causal"}}},
    },
)
TEACHER = "teacher/final_model"
CODECS = ("hidden", "dense", "topk")


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A run of decoder-only models up to its logits, by every codec."""
    folder = tmp_path_factory.mktemp("causal")
    run = load_run(CAUSAL)
    corpus, teacher = folder / "corpus", folder / "teacher/final_model"
    prepare_corpus(PrepareCorpusParams.from_run(run), corpus)
    train_teacher(TrainTeacherParams.from_run(run), corpus=corpus, folder=teacher.parent)
    for codec in CODECS:
        stored = load_run(merged_over(CAUSAL, {"logits": {"codec": codec}}))
        compress_logits(CompressLogitsParams.from_run(stored), teacher, corpus, folder / f"logits_{codec}")
    (folder / "logits").symlink_to(folder / "logits_hidden")
    return Taught(folder, CAUSAL)


def steps(folder: Path) -> list[dict[str, str]]:
    with (folder / "step_metrics.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_form_of_inputs_goes_from_the_corpus_to_the_models(causal: Taught) -> None:
    configs = [read_json(causal.folder / name / "tokenizer_config.json") for name in ("corpus/tokenizer", TEACHER)]
    assert configs[0][KEY] == configs[1][KEY]
    teacher = load_model(causal.folder / TEACHER)
    assert type(teacher) is CausalModel


def test_logits_are_learnt_by_every_codec(causal: Taught, tmp_path: Path) -> None:
    variant = {"loss": {"components": ["kl"], "weights": [1.0]}, "training": {"epochs": 6}}
    losses: dict[str, list[float]] = {}
    for codec in CODECS:
        other = Taught(tmp_path / codec, CAUSAL)
        other.folder.mkdir()
        for name, source in (("corpus", "corpus"), ("teacher", "teacher"), ("logits", f"logits_{codec}")):
            (other.folder / name).symlink_to(causal.folder / source)
        losses[codec] = [float(row["kl_loss_raw"]) for row in steps(other.distil(variant, other.folder / "student"))]
        first, last = losses[codec][:3], losses[codec][-3:]
        assert 0 < sum(last) < 0.95 * sum(first), codec
    assert losses["hidden"] == pytest.approx(losses["dense"], rel=0.01)
    assert losses["topk"] != pytest.approx(losses["dense"], rel=0.01), "of buckets the divergence is a bound"


def test_all_token_losses(causal: Taught, tmp_path: Path) -> None:
    names = [name for name, component in COMPONENTS.items() if isinstance(component, TokenComponent)]
    variant = {"loss": {"components": names, "weights": [1 / len(names)] * len(names)}}
    rows = steps(causal.distil(variant, tmp_path / "student"))
    assert all(float(row[f"{name}_loss_raw"]) != 0 for row in rows for name in names)
    # All of the model, and the projections of `hidden` beside it.
    assert all(0 < float(row["grad_norm_decoder"]) < float(row["grad_norm_total"]) for row in rows)


def test_losses_on_samples_and_own_outputs(causal: Taught, tmp_path: Path) -> None:
    loss = {"components": ["ce", "ast", "pans"], "weights": [0.4, 0.3, 0.3], "text": {"start": 0.0}}
    variant: dict[str, Any] = {"loss": loss, "on_policy": {"fraction": 0.5}, "model": {"teacher_layers": [1]}}
    rows = steps(causal.distil(variant, tmp_path / "student"))
    own = [bool(row["on_policy_loss"]) for row in rows]
    assert 0 < sum(own) < len(own)
    assert any(float(row["ast_loss_raw"]) > 0 for row, sampled in zip(rows, own, strict=True) if not sampled)


def test_a_student_of_a_t5_teacher_is_given_the_inputs_that_it_learnt_on(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = {"model": {"scratch": {"family": "causal"}}}
    student, file = taught.distil(variant, tmp_path / "student") / "final_model", taught.folder / "corpus/test.jsonl"
    learnt = Prompt(load_tokenizer(taught.folder / "corpus/tokenizer"), 96, 24)
    expected = sorted(learnt.encode_record(record).ids for record in read_records(file))
    seen: list[list[int]] = []

    def write(self: Any, batch: Any, *_: Any) -> list[str]:
        seen.extend(map(list, batch))
        return ["" for _ in batch]

    monkeypatch.setattr(TorchTextGenerator, "generate_batch", write)
    predict(
        PredictParams.from_run(taught.run_with(variant), is_student=True), student, file, None, tmp_path / "evaluation"
    )
    assert sorted(seen[: len(expected)]) == expected
    convert(student, tmp_path / "export", "float32")
    exported = Prompt(load_text_generator(tmp_path / "export", torch.device("cpu")).tokenizer, 96, 24)
    assert sorted(exported.encode_record(record).ids for record in read_records(file)) == expected
    assert KEY not in read_json(taught.folder / TEACHER / "tokenizer_config.json"), "of T5 models nothing changes"
