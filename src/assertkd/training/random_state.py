"""What later steps depend on outside model and optimizer: random generators and the encoders' caches."""

import logging
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from assertkd.models.encoders import TextEncoder
from assertkd.runtime.seeding import random_state, set_random_state
from assertkd.training.checkpoint_store import Checkpoint
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import machine, versions

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
