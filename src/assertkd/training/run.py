"""One training under way: where it is, its epochs, and how it is saved and continued."""

import itertools
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import BatchDataset, loaded
from assertkd.batching.examples import Batch, SpecialIds
from assertkd.models.encoders import TextEncoder
from assertkd.runtime.devices import peak_memory_mb
from assertkd.runtime.progress import Progress
from assertkd.runtime.seeding import preserve_random_state
from assertkd.settings import TrainingSettings
from assertkd.signals import StopRequested, StopSignals
from assertkd.training.checkpoint_store import Checkpoint, Checkpoints, link_or_copy
from assertkd.training.data import TrainingData
from assertkd.training.epoch_batches import FIRST, Epochs
from assertkd.training.fingerprint import Fingerprint
from assertkd.training.hooks.journal import Journal
from assertkd.training.hooks.selection import Selection
from assertkd.training.hooks.validation import decoded, teacher_forced
from assertkd.training.provenance import machine
from assertkd.training.random_state import everyones_generators, restore_generators, restore_surroundings, surroundings
from assertkd.training.step import Stepper

log = logging.getLogger(__name__)

BEST = "best.safetensors"
"""The weights of the best validation so far, in the folder of the checkpoints and in every checkpoint."""

PERIODIC = "periodic"
"""Why a checkpoint was saved that no signal asked for."""

POSITION = ("epoch", "taken", "epoch_seconds", "figures", "best_figures", "raw_by_epoch", "attempts")
"""Attributes of a run that a checkpoint holds as JSON values."""


class Run:
    """One training: a position in the data, and everything that later steps depend on.

    Between the blocks that `signals.deferred` guards it is always in a state that can be saved.

    With several processes the first alone has checkpoints and a journal; all call the same methods in the same order.

    Attributes:
        epoch: the epoch that is under way, from 1.
        taken: optimizer steps taken in it.
        figures: of the last finished epoch.
        best_figures: of the epoch that `selection` would keep.
        raw_by_epoch: component name to its mean value in every finished epoch.
        selection: the best validation so far.
        attempts: one entry for every process whose work is part of this training.
        epoch_seconds: spent in the epoch so far.
    """

    def __init__(
        self,
        stepper: Stepper,
        data: TrainingData,
        plan: Epochs,
        settings: TrainingSettings,
        checkpoints: Checkpoints | None,
        journal: Journal | None,
        signals: StopSignals,
        fingerprint: Fingerprint,
    ) -> None:
        self.stepper, self.data, self.plan, self.settings = stepper, data, plan, settings
        self.checkpoints, self.journal, self.signals, self.fingerprint = checkpoints, journal, signals, fingerprint
        self.processes = stepper.objective.processes
        config = stepper.model.model.config
        self.special = SpecialIds(config.pad_token_id, config.decoder_start_token_id)
        self.epoch, self.taken = FIRST, 0
        self.figures: dict[str, float] = {}
        self.best_figures: dict[str, float] = {}
        self.raw_by_epoch: dict[str, list[float]] = {name: [] for name in stepper.names}
        self.selection = Selection(settings.best_metric, settings.early_stopping)
        self.attempts: list[dict[str, Any]] = []
        self.epoch_seconds = 0.0
        self._saved = False

    def start(self) -> None:
        """Check the loss on the first batch of a new training."""
        self._attempt()
        self.stepper.start(self._groups(FIRST - 1, 0))

    def epochs(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Run what is left of the training, up to the last epoch or until no epoch gets better.

        Raises:
            StopRequested: a signal came; a checkpoint was saved.
            UserError: a loss is not finite; the last checkpoint stays.
        """
        try:
            while self.epoch <= self.settings.epochs and not self.selection.exhausted:
                self._train_epoch()
                self._end_epoch(tokenizer)
        except StopRequested as stop:
            self.save(stop.signal.name)
            log.warning("%s: after step %d; started again, it continues there", stop, self.stepper.step)
            raise
        except Exception as fault:
            if self._saved and self.checkpoints is not None:
                log.warning("the last good checkpoint stays in %s", self.checkpoints.folder)
            if self.signals.received is not None:
                # Say, a loading process that the same signal has ended.
                raise StopRequested(self.signals.received) from fault
            raise
        if self.selection.exhausted:
            log.info(
                "stopped early: %d validations since epoch %s without a better %s",
                self.selection.without_better,
                self.selection.epoch,
                self.selection.metric,
            )

    def save(self, why: str) -> None:
        """Save a checkpoint.

        Args:
            why: `PERIODIC`, or the name of the signal that asked for it.

        Raises:
            UserError: a loss since the last checkpoint is not finite; nothing is saved.
        """
        started = time.monotonic()
        values, tensors = self.stepper.state()
        outer, further = surroundings(self.stepper.device, self._encoders())
        further["random"] |= everyones_generators(self.processes, self.stepper.device)
        self._saved = True
        if self.checkpoints is None or self.journal is None:
            self.processes.wait()
            return
        position = {name: getattr(self, name) for name in POSITION}
        state = {"why": why, "fingerprint": self.fingerprint, "stepper": values, "position": position, **outer}
        state["selection"] = self.selection.state()
        best = {BEST: self.checkpoints.folder / BEST} if self.selection.epoch is not None else {}
        self.checkpoints.save(self.stepper.step, tensors | further, state, self.journal.lengths(), best)
        self.processes.wait()
        log.info("checkpoint of step %d (%s), %.2f s", self.stepper.step, why, time.monotonic() - started)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue where the checkpoint was saved, in place of `start`."""
        state = checkpoint.state
        self.stepper.restore(state["stepper"], checkpoint.tensors("weights"), checkpoint.tensors("training"))
        for name in POSITION:
            setattr(self, name, state["position"][name])
        self.selection = Selection.resumed(state["selection"])
        if self.selection.epoch is not None and self.checkpoints is not None:
            best = self.checkpoints.folder / BEST
            best.unlink(missing_ok=True)
            link_or_copy(checkpoint.folder / BEST, best)
        self._saved = True
        before = f"was stopped by {state['why']}"
        if state["why"] == PERIODIC:
            before = "ended between checkpoints; what it did after this one is done again"
        log.info("continuing after step %d (epoch %d); the process before %s", checkpoint.step, self.epoch, before)
        self._attempt()
        # Last, since it restores the random generators.
        restore_surroundings(checkpoint, self.stepper.device, self._encoders())
        restore_generators(checkpoint, self.processes, self.stepper.device)
        # Until all have read it, the checkpoint must stay.
        self.processes.wait()

    def restore_best_weights(self) -> dict[str, float]:
        """Give the model the weights to keep (those of the best validation, or as they are); return their figures.

        With several processes, the first's model is the one that is kept.
        """
        if self.selection.epoch is None or self.checkpoints is None:
            return self.figures
        weights = load_file(self.checkpoints.folder / BEST)
        with torch.no_grad():
            for name, weight in self.stepper.weights().items():
                weight.copy_(weights[name])
        log.info("keeping epoch %d: %s %.4g", self.selection.epoch, self.selection.metric, self.selection.value)
        return self.best_figures

    def _attempt(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.attempts.append({"started": now, "step": self.stepper.step, **machine(self.stepper.device)})

    def _encoders(self) -> dict[str, TextEncoder]:
        return {encoder.name: encoder for encoder in self.data.encoders.values()}

    def _groups(self, epoch: int, taken: int) -> Iterator[list[Batch]]:
        """Yield this process's micro-batches of every optimizer step of an epoch but the first `taken`."""
        settings = self.settings
        mine, steps = self.plan.left(epoch, taken)
        dataset = BatchDataset(self.plan.examples(epoch), mine, self.special, self.data.teacher)
        batches = loaded(dataset, settings.num_workers, settings.pin_memory)
        for _ in range(steps):
            yield list(itertools.islice(batches, settings.gradient_accumulation_steps))

    def _train_epoch(self) -> None:
        stepper = self.stepper
        stepper.model.train()
        begun = time.monotonic()
        started = begun - self.epoch_seconds
        bar = Progress(f"epoch {self.epoch} step", self.plan.steps[self.epoch - 1], done=self.taken)
        self.plan.describe(self.epoch, peak_memory_mb(stepper.device))
        before = stepper.examples
        for group in self._groups(self.epoch, self.taken):
            with self.signals.deferred():
                row = stepper.take(group, self.epoch)
                self.taken += 1
                self.epoch_seconds = time.monotonic() - started
                if row is not None and self.journal is not None:
                    self.journal.step(row)
                    bar.at(
                        self.taken,
                        loss=row["total_loss_weighted"],
                        **{name: row[f"{name}_loss_raw"] for name in stepper.names},
                        memory_mb=row["memory_usage_mb"],
                        examples_per_s=(stepper.examples - before) / max(time.monotonic() - begun, 1e-9),
                    )
                every = self.settings.checkpoint_every
                if every and stepper.step % every == 0:
                    self.save(PERIODIC)

    def _end_epoch(self, tokenizer: PreTrainedTokenizerFast) -> None:
        stepper, epoch = self.stepper, self.epoch
        validated = epoch % self.settings.validation_frequency == 0 or epoch == self.settings.epochs
        # A signal breaks it off: the checkpoint is that of the epoch's last step, and it is done again.
        validation = self._validate(tokenizer) if validated else {}
        with self.signals.deferred():
            means = stepper.epoch_means()
            for name in stepper.names:
                self.raw_by_epoch[name].append(means[name])
            self.figures = {
                "step": stepper.step,
                "train_loss": means["total"],
                **{f"{name}_loss_raw": means[name] for name in stepper.names},
                "learning_rate": stepper.learning_rate,
                "seconds": round(self.epoch_seconds, 3),
                "memory_usage_mb": round(peak_memory_mb(stepper.device), 1),
                **validation,
            }
            if validated and self.selection.judge(epoch, self.figures):
                self._save_best()
                self.best_figures = self.figures
            if self.journal is not None:
                self.journal.epoch({"epoch": epoch, **self.figures})
            log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in self.figures.items()))
            hit_rate = stepper.objective.text.hit_rate() if stepper.objective.text else None
            if hit_rate is not None:
                log.info("embedding cache: %.1f %% of the lookups were hits so far", 100 * hit_rate)
            self.epoch, self.taken, self.epoch_seconds = epoch + 1, 0, 0.0

    def _save_best(self) -> None:
        if self.checkpoints is not None:
            partial = self.checkpoints.folder / f".{BEST}.partial"
            save_file({name: weight.detach() for name, weight in self.stepper.weights().items()}, partial)
            partial.replace(self.checkpoints.folder / BEST)

    def _validate(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
        lengths = [len(example.input_ids) for example in self.data.validation]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        size = self.settings.batch_size
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        mine = chunks[self.processes.rank :: self.processes.size]
        dataset = BatchDataset(self.data.validation, mine, self.special, None)
        model, device = self.stepper.model, self.stepper.device
        with preserve_random_state():
            figures = teacher_forced(model, loaded(dataset, 0, False), device, self.processes)
            if self.data.sample is not None and self.processes.is_first:
                figures |= decoded(model, tokenizer, self.data.sample, device)
        first: dict[str, float] = self.processes.gathered(figures)[0]
        return first
