"""Trains one model from its data: builds the trainer, continues a checkpoint, writes the results."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.layout import TrainingLayout
from assertkd.locking import held
from assertkd.losses.loss_plan import LossPlan
from assertkd.models.distillable import DistillableModel
from assertkd.models.registry import parameter_count
from assertkd.runtime.devices import check_precision, resolve_device
from assertkd.runtime.logs import LogFile, attached
from assertkd.runtime.progress import format_duration, log_closing
from assertkd.settings import TrainingSettings
from assertkd.settings.training import TEXT_METRICS, ValidationFigure
from assertkd.signals import StopSignals
from assertkd.training.checkpoint_store import Checkpoint, CheckpointStore
from assertkd.training.data import TrainingData
from assertkd.training.epoch_batches import EpochBatches
from assertkd.training.hooks.best_weights import BestWeights
from assertkd.training.hooks.checkpoints import Checkpoints, RandomState
from assertkd.training.hooks.hook import Hook
from assertkd.training.hooks.journal import Journal
from assertkd.training.hooks.validation import Validation
from assertkd.training.loss_term import LossTerm
from assertkd.training.objective import LossWeights
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import Fingerprint, Recipe, fingerprint, machine, refuse_mismatch
from assertkd.training.report import loss_summary, training_report
from assertkd.training.terms.features import Features
from assertkd.training.terms.input_tokens import encoder_reads_inputs
from assertkd.training.terms.on_policy_term import OnPolicyTerm
from assertkd.training.terms.text_term import TextTerm
from assertkd.training.terms.token_term import TokenTerm
from assertkd.training.trainer import Trainer

CLOSING_FIGURES = ("train_loss", *get_args(ValidationFigure))
"""Figures of the model that is kept, in the last line of the log."""

log = logging.getLogger(__name__)


def train(
    model: DistillableModel,
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
        model: with the weights that training begins with; they change.
        tokenizer: saved beside the weights.
        plan: what is minimised.
        seed: order of batches; weights and dropout follow torch's generator, which the caller seeds.
        folder: made if it is missing.
        checkpoints: where checkpoints and growing logs lie until the training is done; `folder/checkpoints` if None.
        recipe: how the model was asked for, for the report and to tell whether a checkpoint belongs to it.

    Raises:
        UserError: the device lacks what `settings` ask for, there is no example, the loss is not finite, another
            process trains here, or the checkpoint is of another training.
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
    configured: Mapping[str, Any] = {"training": settings, "loss": plan, "seed": seed}
    identity = fingerprint(configured if recipe is None else recipe.settings, data.files, model)
    model.to(device)
    if data.on_policy is not None:
        data.on_policy.model.to(device)
    if data.hidden_teacher is not None:
        data.hidden_teacher.to(device)
    epochs = EpochBatches(data.train, settings, seed)
    terms = build_terms(plan, model, data, tokenizer, settings, seed)
    fraction = 0.0 if data.on_policy is None else data.on_policy.settings.fraction
    fixed_weights = {name: weight for term in terms for name, weight in term.fixed_weights.items()}
    weights = LossWeights(plan, fixed_weights, sum(epochs.steps), fraction, seed)
    signals = StopSignals((lambda number: max(processes.gathered(number))) if processes.size > 1 else None)
    trainer = Trainer(model, terms, weights, epochs, data.teacher, settings, signals)
    files = TrainingLayout(folder)
    place = checkpoints or files.checkpoints
    store = checkpoint = journal = None
    with ExitStack() as stack:
        # The first process alone writes files.
        if processes.is_first:
            stack.enter_context(held(place.parent, place.name))
        stack.enter_context(signals)
        if processes.is_first:
            store = CheckpointStore(place)
            checkpoint = _to_continue(store, identity, settings)
            lengths = None if checkpoint is None else checkpoint.growing
            metrics = TEXT_METRICS if settings.enhanced_metrics else ()
            journal = Journal(place, plan, terms, trainer.optimizer.gradient.names, metrics, lengths)
            stack.enter_context(closing(journal))
            log.info(
                "%d examples an epoch, %d steps of up to %d %s, %d of them warm-up, loss %s, %.2fM parameters, %s",
                epochs.count(1),
                sum(epochs.steps),
                (settings.token_budget or settings.batch_size) * epochs.batches_per_step,
                "examples" if settings.token_budget is None else "tokens",
                trainer.optimizer.warmup,
                " + ".join(component.name for component in plan.components),
                parameter_count(model) / 1e6,
                device,
            )
            if settings.warmup_steps >= sum(epochs.steps):
                message = "warm-up takes %d steps and the training has %d: the learning rate never falls"
                log.warning(message, settings.warmup_steps, sum(epochs.steps))
        shared = processes.gathered(checkpoint and asdict(checkpoint) | {"folder": str(checkpoint.folder)})[0]
        random_state = RandomState(processes, device, data.encoders.values())
        saves = Checkpoints(settings.checkpoint_every, identity, random_state, store, journal)
        # In the order in which they are called.
        hooks: list[Hook | None] = [
            Validation(data.validation, tokenizer, data.max_new_tokens, data.validation_encoder),
            BestWeights(settings.best_metric, settings.early_stopping, None if store is None else store.folder)
            if settings.best_metric
            else None,
            journal,
            saves,
        ]
        trainer.hooks = [hook for hook in hooks if hook is not None]
        if shared is None:
            trainer.check()
        else:
            saves.resume(trainer, Checkpoint(**shared | {"folder": Path(shared["folder"])}))
        started = datetime.now(UTC).isoformat(timespec="seconds")
        trainer.position.attempts.append({"started": started, "step": trainer.position.step, **machine(device)})
        trainer.fit()
        signals.hold()
        if store is not None and journal is not None:
            model.save(tokenizer, files.final_model)
            write_json(files.losses, loss_summary(plan, trainer.position.raw_by_epoch))
            write_json(files.report, training_report(trainer, data, plan, seed, recipe))
            journal.publish(files)
            store.remove()
            log_closing(
                f"{trainer.position.step} steps in {format_duration(trainer.elapsed)}",
                {name: value for name, value in trainer.position.figures.items() if name in CLOSING_FIGURES},
            )


@contextmanager
def logged_to(path: Path, *, continued: bool) -> Iterator[None]:
    """Write the package's log to `path` as well while the block runs; what was there stays if `continued`.

    Of several processes the first alone does so. The folder is made if it is missing.
    """
    if not ProcessGroup().is_first:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = LogFile(path, append=continued)
    with attached(handler, logging.getLogger("assertkd")):
        yield


def build_terms(
    plan: LossPlan,
    model: DistillableModel,
    data: TrainingData,
    tokenizer: PreTrainedTokenizerFast,
    settings: TrainingSettings,
    seed: int,
) -> Sequence[LossTerm]:
    """Return the terms of the objective: over target tokens, over sampled text, over the student's own outputs.

    Raises:
        UserError: the plan names a layer that the student or its teacher does not have, or learns the inputs of a
            student with an encoder.
    """
    longest, batch_size = data.max_new_tokens, settings.batch_size
    features = None
    if plan.hidden is not None and data.hidden_teacher is not None:
        features = Features(plan.hidden, model, data.hidden_teacher, seed)
    if plan.input_weight and model.has_encoder:
        raise encoder_reads_inputs()
    terms: list[LossTerm] = [TokenTerm(plan, features)]
    if plan.sampling is not None:
        terms.append(TextTerm(plan, plan.sampling, tokenizer, data.encoders, longest, batch_size, seed))
    if data.on_policy is not None:
        terms.append(OnPolicyTerm(data.on_policy.model, data.on_policy.settings, longest, batch_size, seed))
    return terms


def _to_continue(store: CheckpointStore, identity: Fingerprint, settings: TrainingSettings) -> Checkpoint | None:
    """Return the checkpoint to continue from; where there is none, the folder is empty."""
    checkpoint = store.latest()
    if checkpoint is not None and settings.on_checkpoint_mismatch == "refuse":
        refuse_mismatch(store.folder, checkpoint.state["fingerprint"], identity)
    if checkpoint is not None and checkpoint.state["fingerprint"] != identity:
        log.warning("%s: the checkpoint of another training is discarded", store.folder)
        checkpoint = None
    if checkpoint is None:
        store.clear()
    return checkpoint
