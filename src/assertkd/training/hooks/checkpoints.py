"""Saves checkpoints, every so many steps and when a signal ends the training, and continues from them."""

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from assertkd.models.encoders import TextEncoder
from assertkd.runtime.seeding import random_state, set_random_state
from assertkd.signals import StopRequested
from assertkd.training.checkpoint_store import Checkpoint, CheckpointStore
from assertkd.training.hooks.hook import Hook, StepRecord
from assertkd.training.hooks.journal import Journal
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import Fingerprint, machine, versions

if TYPE_CHECKING:
    from assertkd.training.trainer import Trainer

PERIODIC = "periodic"
"""Why a checkpoint was saved that no signal asked for."""

log = logging.getLogger(__name__)


class RandomState:
    """Saves and restores random generators and embedding caches of a training, and tells where machines differ.

    Args:
        processes: those that train together; each has generators of its own.
        device: where they compute.
        encoders: whose caches are saved; each once.
    """

    def __init__(self, processes: ProcessGroup, device: torch.device, encoders: Iterable[TextEncoder]) -> None:
        self._processes, self._device = processes, device
        self._encoders = {encoder.name: encoder for encoder in encoders}

    def state(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        """Return JSON values, and tensors by file and name. All processes call it at the same time."""
        random_values, random_tensors = random_state()
        states = {"torch": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        gathered = self._processes.gathered({name: state.tolist() for name, state in states.items()})
        for rank, of_process in enumerate(gathered[1:], start=1):
            for name, state in of_process.items():
                random_tensors[f"process.{rank}.{name}"] = torch.tensor(state, dtype=torch.uint8)
        caches = {name: encoder.cache_state() for name, encoder in self._encoders.items()}
        values = {
            "versions": versions(),
            "machine": machine(self._device),
            "random": random_values,
            "caches": {name: counts for name, (counts, _) in caches.items()},
        }
        tensors = {"random": random_tensors}
        if caches:
            tensors["caches"] = {name: vectors for name, (_, vectors) in caches.items()}
        return values, tensors

    def restore(self, checkpoint: Checkpoint) -> None:
        """Bring generators and caches to where they were; warn where versions or machine differ."""
        values = checkpoint.state
        for section, present in (("versions", versions()), ("machine", machine(self._device))):
            for key, value in present.items():
                former = values[section].get(key)
                if former != value and key != "host":
                    log.warning("%s was %s, is %s: the steps left may round differently", key, former, value)
        embeddings = checkpoint.tensors("caches")
        for name, encoder in self._encoders.items():
            encoder.restore_cache(values["caches"][name], embeddings[name])
        tensors = checkpoint.tensors("random")
        set_random_state(values["random"], tensors)
        if not self._processes.is_first:
            prefix = f"process.{self._processes.rank}"
            torch.set_rng_state(tensors[f"{prefix}.torch"])
            if self._device.type == "cuda":
                torch.cuda.set_rng_state(tensors[f"{prefix}.cuda"], self._device)


class Checkpoints(Hook):
    """Saves and restores all that later steps depend on.

    Every process has this hook; the first one alone has a store and a journal.

    Args:
        every: steps between checkpoints; 0 for none but those that a signal asks for.
        fingerprint: saved with every checkpoint, as is `random_state`.
        store: where checkpoints are written.
        journal: a checkpoint notes the lengths of its files.
    """

    name = "checkpoints"

    def __init__(
        self,
        every: int,
        fingerprint: Fingerprint,
        random_state: RandomState,
        store: CheckpointStore | None,
        journal: Journal | None,
    ) -> None:
        self._every, self._fingerprint, self._random_state = every, fingerprint, random_state
        self._store, self._journal = store, journal
        self._has_saved = False

    def on_step_end(self, trainer: "Trainer", record: StepRecord | None) -> None:
        """Save a checkpoint where one is due."""
        if self._every and trainer.position.step % self._every == 0:
            self.save(trainer, PERIODIC)

    def on_stop(self, trainer: "Trainer", stop: StopRequested) -> None:
        """Save a checkpoint, from which the next start continues."""
        self.save(trainer, stop.signal.name)
        log.warning("%s: after step %d; started again, it continues there", stop, trainer.position.step)

    def on_error(self, trainer: "Trainer", error: Exception) -> None:
        """Say that the last checkpoint stays."""
        if self._has_saved and self._store is not None:
            log.warning("the last good checkpoint stays in %s", self._store.folder)

    def save(self, trainer: "Trainer", reason: str) -> None:
        """Save a checkpoint between two steps; all processes call it at the same time.

        Raises:
            UserError: a loss since the last checkpoint is not finite; nothing is saved.
        """
        started = time.monotonic()
        values, tensors, files = trainer.state()
        outer_values, outer_tensors = self._random_state.state()
        if self._store is not None and self._journal is not None:
            state = {"why": reason, "fingerprint": self._fingerprint, **values, **outer_values}
            self._store.save(trainer.position.step, tensors | outer_tensors, state, self._journal.lengths(), files)
        self._has_saved = True
        trainer.processes.wait()
        if self._store is not None:
            log.info("checkpoint of step %d (%s), %.2f s", trainer.position.step, reason, time.monotonic() - started)

    def resume(self, trainer: "Trainer", checkpoint: Checkpoint) -> None:
        """Bring the training to where a checkpoint was saved."""
        trainer.restore(checkpoint)
        self._has_saved = True
        reason = checkpoint.state["why"]
        ending = f"was stopped by {reason}"
        if reason == PERIODIC:
            ending = "ended between checkpoints; what it did after this one is done again"
        epoch = trainer.position.epoch
        log.info("continuing after step %d (epoch %d); the process before %s", checkpoint.step, epoch, ending)
        # Last, since it restores the random generators.
        self._random_state.restore(checkpoint)
        # Until all have read it, the checkpoint must stay.
        trainer.processes.wait()
