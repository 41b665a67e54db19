"""What later steps depend on outside model and optimizer: random generators and the encoders' caches."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from assertkd.models.encoders import TextEncoder
from assertkd.runtime.seeding import random_state, set_random_state
from assertkd.training.checkpoint_store import Checkpoint
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import machine, versions

log = logging.getLogger(__name__)


def surroundings(
    device: torch.device, encoders: Mapping[str, TextEncoder]
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Return JSON values and tensors, by file and name, that `restore_surroundings` takes.

    Versions and machine are among them, so that a change can be told.
    """
    random_values, random_tensors = random_state()
    caches = {name: encoder.cache_state() for name, encoder in encoders.items()}
    values = {
        "versions": versions(),
        "machine": machine(device),
        "random": random_values,
        "caches": {name: counts for name, (counts, _) in caches.items()},
    }
    vectors = {name: embeddings for name, (_, embeddings) in caches.items()}
    return values, {"random": random_tensors} | ({"caches": vectors} if vectors else {})


def everyones_generators(processes: ProcessGroup, device: torch.device) -> dict[str, Tensor]:
    """Return torch's random state in every process but the first, whose is among the `surroundings`, by name."""
    states = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    gathered = {name: processes.gathered_bytes(state) for name, state in states.items()}
    return {f"process.{n}.{name}": all_of[n] for n in range(1, processes.size) for name, all_of in gathered.items()}


def restore_generators(checkpoint: Checkpoint, processes: ProcessGroup, device: torch.device) -> None:
    """Bring torch's generators in this process, if it is not the first, to where they were."""
    if processes.is_first:
        return
    states = checkpoint.tensors("random")
    torch.set_rng_state(states[f"process.{processes.rank}.torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[f"process.{processes.rank}.cuda"], device)


def restore_surroundings(checkpoint: Checkpoint, device: torch.device, encoders: Mapping[str, TextEncoder]) -> None:
    """Bring generators and caches to where they were; warn where versions or machine are others."""
    state = checkpoint.state
    for what, present in (("versions", versions()), ("machine", machine(device))):
        for key, value in present.items():
            if state[what].get(key) != value and key != "host":
                log.warning("%s was %s, is %s: the steps left may round differently", key, state[what].get(key), value)
    vectors = checkpoint.tensors("caches") if state["caches"] else {}
    for name, encoder in encoders.items():
        encoder.restore_cache(state["caches"][name], vectors[name])
    set_random_state(state["random"], checkpoint.tensors("random"))
