"""Training the copy task as a stage that runs in several processes, each of which imports this module."""

import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from copy_task import SIZES, VOCABULARY, OneHot, copy_task

from assertkd.losses.loss_plan import LossPlan
from assertkd.models.registry import build_model
from assertkd.models.tokenizer import train_tokenizer
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.settings.section import Section
from assertkd.training import trainer as trainer_module
from assertkd.training.data import TrainingData
from assertkd.training.loss_term import StepContext
from assertkd.training.parallel.launch import in_processes
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.train import train

JAVA = "public boolean isEmpty() { return size == 0; }\nassertTrue(list.isEmpty());"


class CopyTaskParams(Section):
    """Loss and training of the copy task."""

    loss: LossPlan
    training: TrainingSettings


@in_processes
def train_copy_task(params: CopyTaskParams, folder: Path, stopped_at: int = -1) -> None:
    """Train the copy task's model; in the second process, SIGTERM comes when so many steps have been taken."""
    settings = params.training
    seed_everything(3)
    tokenizer = train_tokenizer(JAVA.splitlines(), VOCABULARY)
    model = build_model(ModelSettings(name="scratch", scratch=SIZES), tokenizer, settings.dropout_rate)
    teacher = OneHot(model.vocab_size)
    data = TrainingData(copy_task(34), copy_task(7), teacher=teacher, files=())
    accumulate = trainer_module.accumulate

    def accumulate_and_signal(terms: Any, context: StepContext) -> Any:
        values = accumulate(terms, context)
        if context.step + 1 == stopped_at and ProcessGroup().rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return values

    with patch.object(trainer_module, "accumulate", accumulate_and_signal):
        train(model, tokenizer, data, params.loss, settings, 3, folder)
