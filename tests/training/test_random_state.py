"""What a checkpoint keeps of random generators and embedding caches."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from assertkd.models.encoders import TextEncoder
from assertkd.runtime.seeding import preserve_random_state
from assertkd.training.checkpoint_store import Checkpoint, CheckpointStore
from assertkd.training.hooks.checkpoints import RandomState
from assertkd.training.parallel.process_group import ProcessGroup

CPU = torch.device("cpu")


def draws() -> tuple[Any, ...]:
    """Return what every generator of this process gives next, normal deviates included, which come in pairs."""
    return (
        [random.random() for _ in range(3)],
        [random.gauss(0, 1) for _ in range(3)],
        np.random.normal(size=3).tolist(),
        torch.randn(3).tolist(),
    )


def saved(folder: Path, state: RandomState) -> Checkpoint:
    """Return the state as a checkpoint has it after it was written and read."""
    values, tensors = state.state()
    store = CheckpointStore(folder)
    store.save(1, tensors, values, {}, {})
    checkpoint = store.latest()
    assert checkpoint is not None
    return checkpoint


def test_every_generator_goes_on_where_it_was(tmp_path: Path) -> None:
    state = RandomState(ProcessGroup(), CPU, [])
    with preserve_random_state():
        # One of a pair is drawn: the other must be saved.
        random.gauss(0, 1)
        np.random.normal()
        checkpoint = saved(tmp_path, state)
        expected = draws()
        assert draws() != expected
        state.restore(checkpoint)
        assert draws() == expected


def test_an_encoder_remembers_counts_texts_and_their_order(tmp_path: Path, tiny_encoder_folder: Path) -> None:
    first = TextEncoder(tiny_encoder_folder, cache_size=2)
    first.embed(["a", "b"])
    first.embed(["a"])
    checkpoint = saved(tmp_path, RandomState(ProcessGroup(), CPU, [first, first]))
    second = TextEncoder(tiny_encoder_folder, cache_size=2)
    second.embed(["x", "y", "z"])
    with preserve_random_state():
        RandomState(ProcessGroup(), CPU, [second]).restore(checkpoint)
    assert (second.hits, second.misses) == (first.hits, first.misses)
    # "b" was unused for longest, so that "c" takes its place in both.
    for encoder in (first, second):
        encoder.embed(["c"])
        encoder.embed(["a"])
        encoder.embed(["b"])
    assert (second.hits, second.misses) == (first.hits, first.misses)
    assert torch.equal(second.embed(["a", "c"]), first.embed(["a", "c"]))


def test_every_process_has_its_own_generator_back(tmp_path: Path) -> None:
    theirs = torch.Generator().manual_seed(77)
    state = {"torch": theirs.get_state().tolist()}
    group: Any = SimpleNamespace(is_first=True, rank=0, size=2, gathered=lambda own: [own, state])
    checkpoint = saved(tmp_path, RandomState(cast(ProcessGroup, group), CPU, []))
    group.is_first, group.rank = False, 1
    with preserve_random_state():
        RandomState(cast(ProcessGroup, group), CPU, []).restore(checkpoint)
        assert torch.equal(torch.rand(4), torch.rand(4, generator=theirs))


def test_other_versions_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = RandomState(ProcessGroup(), CPU, [])
    checkpoint = saved(tmp_path, state)
    with preserve_random_state():
        state.restore(checkpoint)
        assert not caplog.messages
        changed = json.loads(json.dumps(checkpoint.state))
        changed["versions"]["torch"] = "1.0.0"
        changed["machine"]["host"] = "elsewhere"
        state.restore(Checkpoint(1, checkpoint.folder, changed, {}))
    (message,) = caplog.messages
    assert message.startswith("torch was 1.0.0, is ")
