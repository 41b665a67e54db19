"""The training loop. The teacher is a student of the hard labels alone."""

import logging
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.losses.loss_plan import LossPlan
from assertkd.models.t5.model import TargetLogits, parameter_count, save_model
from assertkd.runtime.devices import check_precision, resolve_device
from assertkd.settings import TrainingSettings
from assertkd.signals import StopSignals
from assertkd.training.checkpoint_store import Checkpoint, Checkpoints
from assertkd.training.data import TrainingData
from assertkd.training.epoch_batches import Epochs
from assertkd.training.fingerprint import Fingerprint, fingerprint, refuse_other
from assertkd.training.hooks.journal import Journal
from assertkd.training.hooks.validation import TEXT_METRICS
from assertkd.training.objective import Objective
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import Recipe
from assertkd.training.report import loss_summary, training_report
from assertkd.training.run import Run
from assertkd.training.step import Stepper
from assertkd.training.terms.text_term import TextRisk

log = logging.getLogger(__name__)


def train(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    data: TrainingData,
    plan: LossPlan,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    *,
    checkpoints: Path | None = None,
    recipe: Recipe | None = None,
) -> None:
    """Train `model` and write `final_model/`, the metric tables, TensorBoard and `training_report.json` to `folder`.

    If `checkpoints` holds one of this training, it continues there, and ends as if it had never been interrupted.

    Args:
        model: the model, with the weights that training begins with; they change.
        tokenizer: saved beside the weights.
        data: examples and teacher.
        plan: what is minimised.
        settings: how.
        seed: order of batches; weights and dropout follow torch's generator, which the caller seeds.
        folder: made if it is missing.
        checkpoints: where checkpoints and growing logs lie until the training is done; `folder/checkpoints` if None.
        recipe: how the model was asked for, for the report and to tell whether a checkpoint belongs to it.

    Raises:
        UserError: the device lacks what `settings` ask for, there is no example, the loss is not finite, or the
            checkpoint is of another training.
        StopRequested: a signal came; a checkpoint was saved.
    """
    if not data.train:
        raise UserError("No training example is left", "Give more records, or raise data.labelled_share.")
    processes = ProcessGroup()
    device = resolve_device(settings.device, processes.rank, processes.size)
    check_precision(settings.precision, device)
    if not processes.is_first:
        # All begin with the same weights; each drops other units.
        torch.manual_seed(int(np.random.SeedSequence([seed, processes.rank]).generate_state(1)[0]))
    os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    accelerator = Accelerator(mixed_precision={"fp32": "no"}.get(settings.precision, settings.precision))
    text = (
        TextRisk(
            plan, plan.sampling, tokenizer, data.encoders, data.max_new_tokens, settings.batch_size, seed, processes
        )
        if plan.sampling is not None
        else None
    )
    asked: Mapping[str, Any] = {"training": settings, "loss": plan, "seed": seed} if recipe is None else recipe.settings
    made_from = fingerprint(asked, data.files, model)
    epochs = Epochs(data.train, settings, seed, processes)
    objective = Objective(plan, text, processes, on_policy=data.on_policy)
    stepper = Stepper(TargetLogits(model), objective, accelerator, settings, epochs.steps)
    signals = StopSignals(processes.largest if processes.size > 1 else None)
    if not processes.is_first:
        _accompany(Run(stepper, data, epochs, settings, None, None, signals, made_from), tokenizer)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with closing(Checkpoints(checkpoints or folder / "checkpoints")) as kept, signals:
        found = _to_continue(kept, made_from, settings)
        processes.gathered(None if found is None else asdict(found) | {"folder": str(found.folder)})
        lengths = None if found is None else found.growing
        with Journal(kept.folder, stepper.names, TEXT_METRICS if data.sample else (), lengths) as journal:
            run = Run(stepper, data, epochs, settings, kept, journal, signals, made_from)
            log.info(
                "%d examples an epoch, %d steps of up to %d %s, %d of them warm-up, loss %s, %.2fM parameters, %s",
                epochs.count(1),
                stepper.steps,
                (settings.token_budget or settings.batch_size) * epochs.batches_per_step,
                "examples" if settings.token_budget is None else "tokens",
                stepper.warmup,
                " + ".join(stepper.names),
                parameter_count(model) / 1e6,
                device,
            )
            if found is None:
                run.start()
            else:
                run.resume(found)
            run.epochs(tokenizer)
            signals.hold()
            figures = run.restore_best_weights()
            save_model(model, tokenizer, folder / "final_model")
            write_json(folder / "multi_component_loss_summary.json", loss_summary(plan, run.raw_by_epoch))
            write_json(folder / "training_report.json", training_report(run, seed, figures, recipe))
            journal.publish(folder)
        kept.remove()
    log.info("done: %d steps in %.0f s", stepper.step, stepper.elapsed)


def _accompany(run: Run, tokenizer: PreTrainedTokenizerFast) -> None:
    """Do the part of a process that is not the first: train along, and write nothing."""
    with run.signals:
        found = run.processes.gathered(None)[0]
        if found is None:
            run.start()
        else:
            run.resume(Checkpoint(**found | {"folder": Path(found["folder"])}))
        run.epochs(tokenizer)
        run.signals.hold()


def _to_continue(kept: Checkpoints, made_from: Fingerprint, settings: TrainingSettings) -> Checkpoint | None:
    """Return the checkpoint to continue from; where there is none, the folder is empty."""
    found = kept.latest()
    if found is not None and settings.on_checkpoint_mismatch == "refuse":
        refuse_other(kept.folder, found.state["fingerprint"], made_from)
    if found is not None and found.state["fingerprint"] != made_from:
        log.warning("%s: the checkpoint of another training is discarded", kept.folder)
        found = None
    if found is None:
        kept.clear()
    return found
