"""Trains fresh tiny models on the copy task."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from copy_task import SIZES, copy_task
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.losses.loss_plan import LossPlan, hard_labels
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import TrainingSettings
from assertkd.training.data import TrainingData
from assertkd.training.train import train


@pytest.fixture
def data() -> TrainingData:
    return TrainingData(train=copy_task(24), validation=copy_task(7), teacher=None, files=())


@pytest.fixture
def trained(
    tmp_path: Path, tiny_t5: Callable[..., T5ForConditionalGeneration], tiny_tokenizer: PreTrainedTokenizerFast
) -> Iterator[Callable[..., Path]]:
    """Return a function that trains a fresh model into a folder of this name."""

    def run(
        name: str,
        data: TrainingData,
        plan: LossPlan | None = None,
        seed: int = 3,
        dropout: float = 0.1,
        **settings: Any,
    ) -> Path:
        seed_everything(seed)
        model = tiny_t5(seed, dropout, SIZES)
        wanted = {"batch_size": 8, "epochs": 2, "lr": 0.01, "device": "cpu"} | settings
        train(model, tiny_tokenizer, data, plan or hard_labels(), TrainingSettings(**wanted), seed, tmp_path / name)
        return tmp_path / name

    yield run
    torch.use_deterministic_algorithms(False)
