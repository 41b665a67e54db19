"""The training loop. The teacher is a student of the hard labels alone."""

import itertools
import logging
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.losses.batch import TargetBatch
from assertkd.losses.combine import combine
from assertkd.losses.plan import LossPlan
from assertkd.losses.schedule import progress
from assertkd.models.seq2seq import TargetLogits, parameter_count, save_model
from assertkd.settings import TrainingSettings
from assertkd.training.batches import IGNORED, Batch, BatchDataset, Example, SpecialIds, TeacherSource, loaded
from assertkd.training.devices import check_precision, peak_memory_mb, resolve_device
from assertkd.training.logs import Progress, Table, step_columns, write_step
from assertkd.training.optimizer import adamw, lr_factor, warmup_length
from assertkd.training.provenance import git_commit, hashes, machine, versions
from assertkd.training.sampling import bucketed_batches
from assertkd.training.validation import TEXT_METRICS, DecodedSample, decoded, teacher_forced

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is watched on.

    Attributes:
        train: training examples.
        validation: validation examples.
        teacher: the teacher's distributions for every training example, or None where the loss needs none.
        sample: validation examples to decode at each validation, or None.
        files: the files all this came from, for the report.
    """

    train: Sequence[Example]
    validation: Sequence[Example]
    teacher: TeacherSource | None
    sample: DecodedSample | None
    files: tuple[Path, ...]


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
    run = _Run(model, data, plan, settings, seed, folder, accelerator)
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
        "examples": {"train": len(data.train), "validation": len(data.validation)},
        "optimizer_steps": run.steps,
        "warmup_steps": run.warmup,
        "seconds": round(seconds, 3),
        "examples_per_second": round(settings.epochs * len(data.train) / seconds, 3),
        "peak_memory_mb": round(peak_memory_mb(device), 1),
        "final": figures,
        "machine": machine(device),
        "versions": versions(),
        "git_commit": git_commit(),
        "inputs": hashes(data.files),
    }
    write_json(folder / "training_report.json", report)
    log.info("done: %d steps in %.0f s", run.steps, seconds)


class _Run:
    """One call of `train`: what its epochs share."""

    def __init__(
        self,
        model: T5ForConditionalGeneration,
        data: TrainingData,
        plan: LossPlan,
        settings: TrainingSettings,
        seed: int,
        folder: Path,
        accelerator: Accelerator,
    ) -> None:
        self.data, self.plan, self.settings, self.seed, self.folder = data, plan, settings, seed, folder
        self.accelerator = accelerator
        self.device: torch.device = accelerator.device
        self.names = [component.name for component in plan.components]
        self.special = SpecialIds(model.config.pad_token_id, model.config.decoder_start_token_id)
        self.lengths = [len(example.input_ids) + len(example.target_ids) for example in data.train]
        batches = len(self._batches(0))
        self.steps_per_epoch = -(-batches // settings.gradient_accumulation_steps)
        self.steps = settings.epochs * self.steps_per_epoch
        self.warmup = warmup_length(settings.warmup_steps, self.steps)
        self.wrapped = TargetLogits(model)
        self.model, self.optimizer = accelerator.prepare(
            self.wrapped, adamw(self.wrapped, settings.lr, settings.weight_decay)
        )
        self.sums: dict[str, list[float]] = {name: [] for name in self.names}
        self.step = 0
        self.started = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def epochs(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
        """Run all epochs; return the last epoch's figures."""
        log.info(
            "%d examples, %d steps of up to %d examples, %d of them warm-up, loss %s, %.2fM parameters, %s",
            len(self.data.train),
            self.steps,
            self.settings.batch_size * self.settings.gradient_accumulation_steps,
            self.warmup,
            " + ".join(self.names),
            parameter_count(self.wrapped) / 1e6,
            self.device,
        )
        text = [f"validation_{name}" for name in TEXT_METRICS] if self.data.sample else []
        columns = ["epoch", "step", "train_loss", *(f"{name}_loss_raw" for name in self.names), "learning_rate"]
        columns += ["validation_loss", "validation_token_accuracy", *text, "seconds", "memory_usage_mb"]
        figures: dict[str, float] = {}
        with ExitStack() as stack:
            board = SummaryWriter(str(self.folder / "tensorboard"))
            stack.callback(board.close)
            steps = stack.enter_context(Table(self.folder / "step_metrics.csv", step_columns(self.names)))
            table = stack.enter_context(Table(self.folder / "training_metrics.csv", columns))
            for epoch in range(1, self.settings.epochs + 1):
                figures = self._epoch(epoch, steps, board)
                if epoch % self.settings.validation_frequency == 0 or epoch == self.settings.epochs:
                    figures |= self._validate(tokenizer)
                    for name, value in figures.items():
                        if name.startswith("validation_"):
                            board.add_scalar(f"Validation/{name.removeprefix('validation_')}", value, self.step)
                table.add({"epoch": epoch, **figures})
                write_json(self.folder / f"epoch_{epoch}_summary.json", {"epoch": epoch, **figures})
                log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        return figures

    def loss_summary(self) -> dict[str, Any]:
        """Return each component's weight and mean value in the first and the last epoch."""
        first, last = self.plan.weights(0.0), self.plan.weights(1.0)
        return {
            name: {
                "weight": {"start": first[name], "end": last[name]},
                "raw_mean_by_epoch": self.sums[name],
            }
            for name in self.names
        }

    def _batches(self, epoch: int) -> list[list[int]]:
        return bucketed_batches(self.lengths, self.settings.batch_size, self.seed, epoch)

    def _epoch(self, epoch: int, table: Table, board: SummaryWriter) -> dict[str, float]:
        self.model.train()
        started = time.monotonic()
        dataset = BatchDataset(self.data.train, self._batches(epoch), self.special, self.data.teacher)
        batches = loaded(dataset, self.settings.num_workers, self.settings.pin_memory)
        bar = Progress(f"epoch {epoch} step", self.steps_per_epoch)
        seen: list[Tensor] = []
        for index in range(self.steps_per_epoch):
            group = list(itertools.islice(batches, self.settings.gradient_accumulation_steps))
            values, norms = self._optimizer_step(group)
            seen.append(values)
            if self.step % self.settings.log_every == 0 or self.step == self.steps - 1:
                row = self._row(epoch, group, values, norms)
                table.add(row)
                write_step(board, self.names, row)
                bar.at(index + 1, loss=row["total_loss_weighted"], memory_mb=row["memory_usage_mb"])
            self.step += 1
        means = torch.stack(seen).mean(0).tolist()
        for name, value in zip(self.names, means[1:], strict=True):
            self.sums[name].append(value)
        return {
            "step": self.step,
            "train_loss": means[0],
            **{f"{name}_loss_raw": value for name, value in zip(self.names, means[1:], strict=True)},
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": round(time.monotonic() - started, 3),
            "memory_usage_mb": round(peak_memory_mb(self.device), 1),
        }

    def _optimizer_step(self, group: Sequence[Batch]) -> tuple[Tensor, dict[str, Tensor]]:
        """Take one step; return the total and every component's value (1 + C,), and gradient norms, on the device."""
        weights = self.plan.weights(progress(self.step, self.steps))
        tokens = sum(batch.tokens for batch in group)
        values = torch.zeros(1 + len(self.names), device=self.device)
        for batch in (batch.to(self.device) for batch in group):
            is_target = batch.labels != IGNORED
            logits = self.model(batch.input_ids, batch.attention_mask, batch.decoder_input_ids, is_target)
            target = TargetBatch(logits, batch.labels[is_target], batch.teacher, self.plan.temperature or 1.0)
            loss = combine(self.plan, target, weights, tokens)
            self.accelerator.backward(loss.total)
            zero = values.new_zeros(())
            values += torch.stack([loss.total.detach(), *(loss.parts.get(name, zero) for name in self.names)])
        # Gradients carry fp16's loss scale until here; norms and clipping need their true size.
        self.accelerator.unscale_gradients(self.optimizer)
        inner = self.wrapped.model
        norms = {"encoder": _gradient_norm(inner.encoder), "decoder": _gradient_norm(inner.decoder)}
        norms["total"] = nn.utils.clip_grad_norm_(self.wrapped.parameters(), self.settings.max_grad_norm)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self.settings.lr * lr_factor(self.step, self.warmup, self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return values, norms

    def _row(self, epoch: int, group: Sequence[Batch], values: Tensor, norms: dict[str, Tensor]) -> dict[str, Any]:
        # One transfer from the device for everything that is logged.
        gathered = torch.stack([*values, *norms.values()]).tolist()
        total, raw = gathered[0], dict(zip(self.names, gathered[1:], strict=False))
        weights = self.plan.weights(progress(self.step, self.steps))
        if not all(map(torch.isfinite, torch.tensor(gathered[: len(values)]))):
            self._refuse(raw, group)
        row: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "epoch": epoch,
            "step": self.step,
            "mini_batch_idx": self.step % self.steps_per_epoch,
            "total_loss_raw": sum(raw.values()),
            "total_loss_weighted": total,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "temperature": self.plan.temperature,
            "alpha": self.plan.alpha,
            "effective_batch_size": sum(len(batch.ids) for batch in group),
            "memory_usage_mb": round(peak_memory_mb(self.device), 1),
            "elapsed_time_seconds": round(time.monotonic() - self.started, 3),
        }
        for name, value in zip(norms, gathered[len(values) :], strict=True):
            row[f"grad_norm_{name}"] = value
        for name in self.names:
            row |= {
                f"{name}_loss_raw": raw[name],
                f"{name}_loss_weighted": weights[name] * raw[name],
                f"{name}_weight": weights[name],
            }
        return row

    def _refuse(self, raw: dict[str, float], group: Sequence[Batch]) -> None:
        bad = [name for name, value in raw.items() if not torch.isfinite(torch.tensor(value))] or ["the total"]
        ids = [identity for batch in group for identity in batch.ids]
        raise UserError(
            f"step {self.step}: loss component {', '.join(bad)} is not finite on examples {', '.join(ids[:16])}",
            "Lower training.lr, or look at these examples in the corpus.",
        )

    def _validate(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
        lengths = [len(example.input_ids) for example in self.data.validation]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        size = self.settings.batch_size
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        dataset = BatchDataset(self.data.validation, chunks, self.special, None)
        figures = teacher_forced(self.model, loaded(dataset, 0, False), self.device)
        if self.data.sample is not None:
            figures |= decoded(self.wrapped, tokenizer, self.data.sample, self.device)
        return figures


def _gradient_norm(module: nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return nn.utils.get_total_norm(gradients)
