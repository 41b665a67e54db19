"""The training loop. A training is a model, the terms of its objective, and hooks; the loop knows neither kind."""

import itertools
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from assertkd.batching.collation import load_batches
from assertkd.batching.examples import Batch, TeacherSource
from assertkd.errors import UserError
from assertkd.models.distillable import DistillableModel
from assertkd.runtime.devices import memory_mb, peak_memory_mb
from assertkd.settings import TrainingSettings
from assertkd.signals import StopRequested, StopSignals
from assertkd.training.checkpoint_store import Checkpoint
from assertkd.training.epoch_batches import FIRST, EpochBatches
from assertkd.training.hooks.hook import Figures, Hook, HookState, StepRecord
from assertkd.training.loss_term import BatchTotals, LossTerm, StepContext, TermValues
from assertkd.training.objective import LossWeights, StepValues, accumulate, check_gradients
from assertkd.training.optimizer import Optimizer
from assertkd.training.parallel.process_group import ProcessGroup

log = logging.getLogger(__name__)


@dataclass
class Position:
    """Where a training is. Between steps it can be saved.

    Attributes:
        epoch: the epoch that is under way, from 1.
        epoch_step: optimizer steps taken in it.
        step: optimizer steps taken in all, those that were skipped included.
        skipped_steps: those whose batches held no target token, which moved no weight.
        examples: that the model has seen, over all processes; one counts every time.
        tokens: target tokens of these; of steps on the student's own outputs, the tokens of the outputs.
        figures: of the last finished epoch.
        raw_by_epoch: part of the objective to its mean value in every finished epoch.
        epoch_seconds: spent in the epoch so far.
        elapsed: seconds of training up to the last checkpoint.
        is_stopped: whether a hook has ended the training.
        attempts: when and where each process began whose work is part of this training.
    """

    epoch: int = FIRST
    epoch_step: int = 0
    step: int = 0
    skipped_steps: int = 0
    examples: int = 0
    tokens: int = 0
    figures: Figures = field(default_factory=dict)
    raw_by_epoch: dict[str, list[float]] = field(default_factory=dict)
    epoch_seconds: float = 0.0
    elapsed: float = 0.0
    is_stopped: bool = False
    attempts: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Trains one model. Several processes call the same methods in the same order.

    Args:
        model: on its device, with the weights that training begins with.
        weights: of the terms' parts at each step.
        epochs: which examples make the batches of each step.
        teacher: the teacher's distributions for every example, or None where no term needs them.
        signals: entered by the caller; a signal waits until a step is whole.

    Attributes:
        hooks: what happens around the steps, in this order.
    """

    def __init__(
        self,
        model: DistillableModel,
        terms: Sequence[LossTerm],
        weights: LossWeights,
        epochs: EpochBatches,
        teacher: TeacherSource | None,
        settings: TrainingSettings,
        signals: StopSignals,
    ) -> None:
        self.model, self.terms, self.weights, self.epochs, self.settings = model, terms, weights, epochs, settings
        self.processes, self._teacher, self._signals = ProcessGroup(), teacher, signals
        self._term_weights = {name: weight for term in terms for name, weight in term.weights().items()}
        self.optimizer = Optimizer(model, settings, sum(epochs.steps), self._term_weights)
        self.hooks: list[Hook] = []
        self.names = [name for term in terms for name in term.names]
        self.position = Position(raw_by_epoch={name: [] for name in self.names})
        self._values = StepValues(self.names)
        self._started = time.monotonic()

    def fit(self) -> None:
        """Train until the last epoch, or until a hook ends the training.

        Raises:
            StopRequested: a signal came; the hooks have saved a checkpoint.
            UserError: a loss is not finite; the last checkpoint stays.
        """
        model, optimizer, position, processes = self.model, self.optimizer, self.position, self.processes
        last_step = sum(self.epochs.steps) - 1
        try:
            while position.epoch <= len(self.epochs.steps) and not position.is_stopped:
                model.train()
                epoch_started = time.monotonic() - position.epoch_seconds
                self._call("on_epoch_start")

                for micro_batches in self._steps(position.epoch, position.epoch_step):
                    with self._signals.deferred():
                        is_logged = position.step % self.settings.log_every == 0 or position.step == last_step
                        context = StepContext(
                            model=model,
                            micro_batches=micro_batches,
                            weights=self.weights.at(position.step),
                            step=position.step,
                            totals=BatchTotals.count(micro_batches, processes),
                            processes=processes,
                            backward=optimizer.backward,
                            with_norms=is_logged or self.weights.follows_norms,
                        )

                        record = None
                        if context.totals.tokens:
                            record = self._train_step(context)
                        else:
                            self._skip_step(context)
                        position.step += 1
                        position.epoch_step += 1
                        position.epoch_seconds = time.monotonic() - epoch_started

                        # Log, checkpoint.
                        self._call("on_step_end", record if is_logged else None)

                # A signal interrupts a measurement: the checkpoint is that of the epoch's last step.
                measured = [hook.measure(self) for hook in self.hooks]
                with self._signals.deferred():
                    means = self._values.epoch_means()
                    for name in self.names:
                        position.raw_by_epoch[name].append(means[name])
                    position.figures = {
                        "step": position.step,
                        "train_loss": means["total"],
                        **{f"{name}_loss_raw": means[name] for name in self.names},
                        "learning_rate": optimizer.learning_rate,
                        "seconds": round(position.epoch_seconds, 3),
                        "memory_usage_mb": round(memory_mb(model.device), 1),
                        "peak_memory_mb": round(peak_memory_mb(model.device), 1),
                        **{name: figure for figures in measured for name, figure in figures.items()},
                    }
                    self._call("on_epoch_end", position.figures)
                    position.epoch, position.epoch_step, position.epoch_seconds = position.epoch + 1, 0, 0.0
        except StopRequested as stop:
            self._call("on_stop", stop)
            raise
        except Exception as error:
            self._call("on_error", error)
            if self._signals.received is not None:
                # For example, a loading process that the same signal has ended.
                raise StopRequested(self._signals.received) from error
            raise
        self._call("on_train_end")

    def check(self) -> None:
        """Check on one batch that every term gives the model a gradient, and take its values as first means.

        Raises:
            UserError: a term gives no gradient, or one that is not finite; or no example has a target token.
        """
        counted = ((batches, BatchTotals.count(batches, self.processes)) for batches in self._steps(FIRST - 1, 0))
        found = next(((batches, totals) for batches, totals in counted if totals.tokens), None)
        if found is None:
            raise UserError("No training example has a target token", "Give records whose assertions are not empty.")
        micro_batches, totals = found
        weights = self.weights.for_check()
        context = StepContext(self.model, micro_batches, weights, 0, totals, self.processes)
        self.weights.update(*check_gradients(self.terms, context))

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before an interruption included."""
        return time.monotonic() - self._started

    def state(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]], dict[str, Path]]:
        """Return all that later steps depend on: JSON values, tensors by file and name, and further files.

        Raises:
            UserError: a value of the objective was not finite.
        """
        tensors = {"weights": {name: weight.detach() for name, weight in self._trained_weights().items()}}
        optimizer_values, tensors["optimizer"] = self.optimizer.state()
        tensors["values"] = self._values.state()
        self.position.elapsed = self.elapsed
        hooks = {hook.name: hook.state() for hook in self.hooks}
        tensors["hooks"] = {f"{name}:{key}": t for name, state in hooks.items() for key, t in state.tensors.items()}
        values = {
            "position": asdict(self.position),
            "optimizer": optimizer_values,
            "loss_weights": self.weights.state(),
            "terms": [term.state() for term in self.terms],
            "hooks": {name: state.values for name, state in hooks.items()},
        }
        files = {name: path for state in hooks.values() for name, path in state.files.items()}
        return values, {name: part for name, part in tensors.items() if part}, files

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where a checkpoint was saved, in place of `check`."""
        values = checkpoint.state
        with torch.no_grad():
            former_weights = checkpoint.tensors("weights")
            for name, weight in self._trained_weights().items():
                weight.copy_(former_weights[name])
        self.optimizer.restore(values["optimizer"], checkpoint.tensors("optimizer"))
        self.weights.restore(values["loss_weights"])
        for term, state in zip(self.terms, values["terms"], strict=True):
            term.restore(state)
        self._values.restore(checkpoint.tensors("values"), self.model.device)
        for name, value in values["position"].items():
            setattr(self.position, name, value)
        self._started = time.monotonic() - self.position.elapsed
        hook_tensors = checkpoint.tensors("hooks")
        files = {path.name: path for path in checkpoint.folder.iterdir()}
        for hook in self.hooks:
            prefix = f"{hook.name}:"
            own = {key.removeprefix(prefix): t for key, t in hook_tensors.items() if key.startswith(prefix)}
            hook.restore(HookState(values["hooks"].get(hook.name, {}), own, files))

    def _trained_weights(self) -> dict[str, nn.Parameter]:
        return self.model.trained_weights() | self._term_weights

    def _call(self, event: str, *arguments: object) -> None:
        for hook in self.hooks:
            getattr(hook, event)(self, *arguments)

    def _steps(self, epoch: int, taken: int) -> Iterator[list[Batch]]:
        """Yield this process's micro-batches of every optimizer step of an epoch but the first `taken`."""
        settings = self.settings
        indices, steps = self.epochs.remaining_batches(epoch, taken)
        batches = load_batches(
            self.epochs.examples(epoch),
            indices,
            self.model.pad_token_id,
            self._teacher,
            num_workers=settings.num_workers,
            pin_memory=settings.pin_memory,
        )
        for _ in range(steps):
            yield list(itertools.islice(batches, settings.gradient_accumulation_steps))

    def _train_step(self, context: StepContext) -> StepRecord | None:
        """Update the weights by one step; return its record where it is logged or later weights follow its values."""
        position, optimizer = self.position, self.optimizer
        # Every term: forward, loss, backward. Then the gradients of all processes are added up.
        values = accumulate(self.terms, context)
        self.processes.sum_gradients(optimizer.gradient.weights)

        # Clip, update the weights, clear the gradient.
        norms = optimizer.step(position.step)

        ids = [identity for batch in context.micro_batches for identity in batch.ids]
        self._values.add(position.step, ids, values, norms)
        position.examples += context.totals.examples
        position.tokens += context.totals.tokens if values.tokens is None else values.tokens
        if not context.with_norms and not self.weights.follows_values:
            return None
        record = self._record(context, values)
        self.weights.update(record.raw, record.part_norms)
        return record

    def _skip_step(self, context: StepContext) -> None:
        """Count a step without a target token, whose mean over tokens would not be a number."""
        if not self.position.skipped_steps:
            ids = self.processes.joined([identity for batch in context.micro_batches for identity in batch.ids])
            message = "step %d: examples %s have no target token, so the step is skipped; others like it are counted"
            log.warning(message, context.step, ", ".join(ids[:16]))
        self.position.skipped_steps += 1

    def _record(self, context: StepContext, values: TermValues) -> StepRecord:
        total, raw, norms = self._values.latest()
        squares: Mapping[str, float] = {}
        if values.squared_norms:
            stacked = torch.stack([square.float() for square in values.squared_norms.values()]).tolist()
            squares = dict(zip(values.squared_norms, stacked, strict=True))
        return StepRecord(
            epoch=self.position.epoch,
            step=self.position.step,
            epoch_step=self.position.epoch_step,
            examples=context.totals.examples,
            total=total,
            raw=raw,
            weights=context.weights,
            part_norms={name: math.sqrt(square) for name, square in squares.items()},
            gradient_norms=dict(zip(self.optimizer.gradient.names, norms, strict=True)),
            columns=values.columns,
            learning_rate=self.optimizer.learning_rate,
            elapsed=self.elapsed,
            memory_mb=memory_mb(self.model.device),
            peak_memory_mb=peak_memory_mb(self.model.device),
        )
