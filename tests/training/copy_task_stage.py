"""Training the copy task as a stage that runs in several processes, each of which imports this module."""

import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from copy_task import SIZES, VOCABULARY, OneHot, copy_task
from transformers import T5ForConditionalGeneration

from assertkd.losses.loss_plan import LossPlan
from assertkd.models.t5.model import scratch_config
from assertkd.models.tokenizer import train_tokenizer
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import TrainingSettings
from assertkd.training.data import TrainingData
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.step import Stepper
from assertkd.training.trainer import train

JAVA = "public boolean isEmpty() { return size == 0; }\nassertTrue(list.isEmpty());"


def train_copy_task(folder: Path, plan: LossPlan, settings: TrainingSettings, stopped_at: int = -1) -> None:
    """Train the copy task's model; in the second process, SIGTERM comes when so many steps have been taken."""
    seed_everything(3)
    tokenizer = train_tokenizer(JAVA.splitlines(), VOCABULARY)
    model = T5ForConditionalGeneration(scratch_config(SIZES, tokenizer, settings.dropout_rate))
    teacher = OneHot(model.config.vocab_size)
    data = TrainingData(copy_task(34), copy_task(7), teacher=teacher, sample=None, files=())
    take = Stepper.take

    def take_and_signal(stepper: Stepper, *arguments: Any) -> Any:
        row = take(stepper, *arguments)
        if stepper.step == stopped_at and ProcessGroup().rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return row

    with patch.object(Stepper, "take", take_and_signal):
        train(model, tokenizer, data, plan, settings, 3, folder)
