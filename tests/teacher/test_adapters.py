"""A teacher that is fine-tuned by low-rank adapters: a plain model, whatever interrupts it."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_train_teacher import CONFIG

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.settings import load_run
from assertkd.settings.load import merged_over
from assertkd.settings.model import LoraSettings
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher
from interrupted import Killed, kill_at

LORA = {
    "model": {"scratch": {"family": "causal"}},
    "lora": {"rank": 2, "dropout": 0.1},
    "training": {"checkpoint_every": 2, "relative_lr": False, "best_metric": "validation_loss"},
}


def test_it_ends_as_if_it_had_never_been_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(merged_over(deepcopy(CONFIG), {"teacher": LORA}))
    params, corpus = TrainTeacherParams.from_run(run), tmp_path / "corpus"
    prepare_corpus(PrepareCorpusParams.from_run(run), corpus)
    train_teacher(params, corpus, tmp_path / "whole")
    kill_at({1, 3}, monkeypatch)
    for _ in range(2):
        with pytest.raises(Killed):
            train_teacher(params, corpus, tmp_path / "cut")
        torch.rand(17)
    saved = sorted((tmp_path / "cut/checkpoints").glob("step-*/weights.safetensors"))
    assert saved and all("lora_" in name for name in load_file(saved[-1]))
    train_teacher(params, corpus, tmp_path / "cut")
    whole, cut = (load_file(tmp_path / name / "final_model/model.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == cut.keys() and not any("lora" in name for name in whole)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    torch.use_deterministic_algorithms(False)


def test_a_teacher_without_adapters_has_no_such_parameter() -> None:
    run = load_run(merged_over(deepcopy(CONFIG), {"teacher": {"lora": {"alpha": 8}}}))
    params = TrainTeacherParams.from_run(run)
    assert params.lora == LoraSettings()
    assert "lora" not in params.model_dump()
