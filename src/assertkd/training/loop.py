"""The training loop. The teacher is a student of the hard labels alone."""

import itertools
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch.utils.tensorboard import SummaryWriter
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.losses.plan import LossPlan
from assertkd.models.encoders import TextEncoder
from assertkd.models.seq2seq import TargetLogits, parameter_count, save_model
from assertkd.settings import TrainingSettings
from assertkd.training.batches import Batch, BatchDataset, Example, SpecialIds, TeacherSource, loaded
from assertkd.training.devices import check_precision, peak_memory_mb, resolve_device
from assertkd.training.epoch_sampling import EpochSampler
from assertkd.training.epochs import Epochs
from assertkd.training.logs import Progress, Table, step_columns, write_step
from assertkd.training.objective import Objective
from assertkd.training.provenance import git_commit, hashes, machine, versions
from assertkd.training.step import Stepper
from assertkd.training.text_risk import TextRisk
from assertkd.training.validation import TEXT_METRICS, DecodedSample, decoded, teacher_forced

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is watched on.

    Attributes:
        train: the training examples of every epoch, or what draws them for each.
        validation: validation examples.
        teacher: the teacher's distributions for every training example, or None where the loss needs none.
        sample: validation examples to decode at each validation, or None.
        files: the files all this came from, for the report.
        encoders: loss component to the encoder that it embeds with.
        max_new_tokens: longest sampled prediction, in tokens.
    """

    train: Sequence[Example] | EpochSampler
    validation: Sequence[Example]
    teacher: TeacherSource | None
    sample: DecodedSample | None
    files: tuple[Path, ...]
    encoders: Mapping[str, TextEncoder] = field(default_factory=dict)
    max_new_tokens: int = 128


def train(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    data: TrainingData,
    plan: LossPlan,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
) -> None:
    """Train `model` and write `final_model/`, the metric tables, TensorBoard and `training_report.json` to `folder`.

    Args:
        model: the model; its weights change.
        tokenizer: saved beside the weights.
        data: examples and teacher.
        plan: what is minimised.
        settings: how.
        seed: order of batches; weights and dropout follow torch's generator, which the caller seeds.
        folder: made if it is missing.

    Raises:
        UserError: the device lacks what `settings` ask for, there is no example, or the loss is not finite.
    """
    if not data.train:
        raise UserError("No training example is left", "Give more records, or raise data.labelled_share.")
    device = resolve_device(settings.device)
    check_precision(settings.precision, device)
    os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    accelerator = Accelerator(mixed_precision={"fp32": "no"}.get(settings.precision, settings.precision))
    text = (
        TextRisk(plan, plan.sampling, tokenizer, data.encoders, data.max_new_tokens, settings.batch_size, seed)
        if plan.sampling is not None
        else None
    )
    epochs = Epochs(data.train, settings, seed)
    stepper = Stepper(TargetLogits(model), Objective(plan, text), accelerator, settings, epochs.steps)
    run = _Run(stepper, data, epochs, settings, folder)
    started = time.monotonic()
    figures = run.epochs(tokenizer)
    seconds = time.monotonic() - started
    save_model(model, tokenizer, folder / "final_model")
    write_json(folder / "multi_component_loss_summary.json", run.loss_summary())
    report = {
        "parameters": parameter_count(model),
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "loss": plan.model_dump(mode="json"),
        "examples": {"train": epochs.count(1), "validation": len(data.validation)},
        "epoch_sampling": epochs.summary(),
        "optimizer_steps": stepper.steps,
        "warmup_steps": stepper.warmup,
        "seconds": round(seconds, 3),
        "examples_per_second": round(sum(map(epochs.count, range(1, settings.epochs + 1))) / seconds, 3),
        "peak_memory_mb": round(peak_memory_mb(device), 1),
        "final": figures,
        "machine": machine(device),
        "versions": versions(),
        "git_commit": git_commit(),
        "inputs": hashes(data.files),
    }
    write_json(folder / "training_report.json", report)
    log.info("done: %d steps in %.0f s", stepper.steps, seconds)


class _Run:
    """One call of `train`: what its epochs share."""

    def __init__(
        self, stepper: Stepper, data: TrainingData, epochs: Epochs, settings: TrainingSettings, folder: Path
    ) -> None:
        self.stepper, self.data, self.plan, self.settings, self.folder = stepper, data, epochs, settings, folder
        config = stepper.model.model.config
        self.special = SpecialIds(config.pad_token_id, config.decoder_start_token_id)
        self.raw_by_epoch: dict[str, list[float]] = {name: [] for name in stepper.names}

    def epochs(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
        """Run all epochs; return the last epoch's figures."""
        stepper, names = self.stepper, self.stepper.names
        log.info(
            "%d examples an epoch, %d steps of up to %d %s, %d of them warm-up, loss %s, %.2fM parameters, %s",
            self.plan.count(1),
            stepper.steps,
            (self.settings.token_budget or self.settings.batch_size) * self.settings.gradient_accumulation_steps,
            "examples" if self.settings.token_budget is None else "tokens",
            stepper.warmup,
            " + ".join(names),
            parameter_count(stepper.model) / 1e6,
            stepper.device,
        )
        text = [f"validation_{name}" for name in TEXT_METRICS] if self.data.sample else []
        columns = ["epoch", "step", "train_loss", *(f"{name}_loss_raw" for name in names), "learning_rate"]
        columns += ["validation_loss", "validation_token_accuracy", *text, "seconds", "memory_usage_mb"]
        figures: dict[str, float] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        stepper.start(self._groups(0))
        with ExitStack() as stack:
            board = SummaryWriter(str(self.folder / "tensorboard"))
            stack.callback(board.close)
            rows = stack.enter_context(Table(self.folder / "step_metrics.csv", step_columns(names)))
            table = stack.enter_context(Table(self.folder / "training_metrics.csv", columns))
            for epoch in range(1, self.settings.epochs + 1):
                figures = self._epoch(epoch, rows, board)
                if epoch % self.settings.validation_frequency == 0 or epoch == self.settings.epochs:
                    figures |= self._validate(tokenizer)
                    for name, value in figures.items():
                        if name.startswith("validation_"):
                            board.add_scalar(f"Validation/{name.removeprefix('validation_')}", value, stepper.step)
                table.add({"epoch": epoch, **figures})
                write_json(self.folder / f"epoch_{epoch}_summary.json", {"epoch": epoch, **figures})
                log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        return figures

    def loss_summary(self) -> dict[str, Any]:
        """Return each component's weight at both ends of training, its scale, and its mean value in every epoch."""
        plan = self.stepper.objective.plan
        first, last = plan.weights(0.0), plan.weights(1.0)
        return {
            one.name: {
                "weight": {"start": first[one.name], "end": last[one.name]},
                "scale": one.scale,
                "raw_mean_by_epoch": self.raw_by_epoch[one.name],
            }
            for one in plan.components
        }

    def _groups(self, epoch: int) -> Iterator[list[Batch]]:
        """Yield the micro-batches of every optimizer step of an epoch."""
        chosen = self.plan.batches(epoch)
        dataset = BatchDataset(self.plan.examples(epoch), chosen, self.special, self.data.teacher)
        batches = loaded(dataset, self.settings.num_workers, self.settings.pin_memory)
        while group := list(itertools.islice(batches, self.settings.gradient_accumulation_steps)):
            yield group

    def _epoch(self, epoch: int, rows: Table, board: SummaryWriter) -> dict[str, float]:
        stepper = self.stepper
        stepper.model.train()
        started = time.monotonic()
        bar = Progress(f"epoch {epoch} step", self.plan.steps[epoch - 1])
        self.plan.describe(epoch, peak_memory_mb(stepper.device))
        for index, group in enumerate(self._groups(epoch)):
            row = stepper.take(group, epoch)
            if row is not None:
                rows.add(row)
                write_step(board, stepper.names, row)
                losses = {name: row[f"{name}_loss_raw"] for name in stepper.names}
                bar.at(index + 1, loss=row["total_loss_weighted"], **losses, memory_mb=row["memory_usage_mb"])
        means = stepper.epoch_means()
        for name in stepper.names:
            self.raw_by_epoch[name].append(means[name])
        hit_rate = stepper.objective.text.hit_rate() if stepper.objective.text else None
        if hit_rate is not None:
            log.info("embedding cache: %.1f %% of the lookups were hits so far", 100 * hit_rate)
        return {
            "step": stepper.step,
            "train_loss": means["total"],
            **{f"{name}_loss_raw": means[name] for name in stepper.names},
            "learning_rate": stepper.learning_rate,
            "seconds": round(time.monotonic() - started, 3),
            "memory_usage_mb": round(peak_memory_mb(stepper.device), 1),
        }

    def _validate(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
        lengths = [len(example.input_ids) for example in self.data.validation]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        size = self.settings.batch_size
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        dataset = BatchDataset(self.data.validation, chunks, self.special, None)
        model, device = self.stepper.model, self.stepper.device
        figures = teacher_forced(model, loaded(dataset, 0, False), device)
        if self.data.sample is not None:
            figures |= decoded(model, tokenizer, self.data.sample, device)
        return figures
