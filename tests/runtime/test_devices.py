"""Where a process computes: every name on machines with and without GPUs, alone and among others, inside SLURM jobs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from assertkd.errors import UserError
from assertkd.runtime.devices import check_precision, float64_or_32, memory_mb, peak_memory_mb, resolve_device
from assertkd.runtime.seeding import random_state, set_random_state

SLURM_VARIABLES = ("SLURM_JOB_ID", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE", "CUDA_VISIBLE_DEVICES")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that pretends that this process sees so many GPUs, of a capability, in an environment."""

    def pretend(gpus: int, capability: tuple[int, int] = (8, 0), **environment: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
        for name in SLURM_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return pretend


@pytest.mark.parametrize(
    ("name", "gpus", "expected"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_name_alone(machine: Callable[..., None], name: str, gpus: int, expected: str) -> None:
    machine(gpus)
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.parametrize(("name", "gpus"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_seen_is_refused(machine: Callable[..., None], name: str, gpus: int) -> None:
    machine(gpus)
    with pytest.raises(UserError, match=rf"device {name}: this process sees {gpus} GPUs") as caught:
        resolve_device(name)
    assert "device: cpu" in caught.value.remedy or "device: auto or cpu" in caught.value.remedy


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_has_a_gpu_of_its_own(machine: Callable[..., None], name: str) -> None:
    machine(2)
    assert [resolve_device(name, rank, 2).index for rank in range(2)] == [0, 1]


def test_processes_on_the_cpu_are_asked_for_by_name(machine: Callable[..., None]) -> None:
    machine(0)
    assert {resolve_device("cpu", rank, 2) for rank in range(2)} == {torch.device("cpu")}
    with pytest.raises(UserError, match="device auto and gpus: 2: this process sees 0 GPUs"):
        resolve_device("auto", 0, 2)


def test_all_processes_refuse_what_one_of_them_lacks(machine: Callable[..., None]) -> None:
    machine(1)
    for rank in range(2):
        with pytest.raises(UserError, match="gpus: 2: this process sees 1 GPUs"):
            resolve_device("cuda", rank, 2)
        with pytest.raises(UserError, match="device cuda:0: 2 processes cannot share one GPU"):
            resolve_device("cuda:0", rank, 2)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_JOB_ID": "7"}, "cpu"),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": ""}, "cpu"),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "3"}, "cuda:0"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_GPUS": "1"}, "cuda:0"),
        ({"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "1"}, "cuda:0"),
        ({}, "cuda:0"),
    ],
)
def test_auto_leaves_other_jobs_gpus_alone(
    machine: Callable[..., None], environment: dict[str, str], expected: str
) -> None:
    machine(4, **environment)
    assert resolve_device("auto") == torch.device(expected)


@pytest.mark.parametrize(
    ("precision", "device", "capability"),
    [("fp32", "cpu", (0, 0)), ("bf16", "cpu", (0, 0)), ("fp16", "cuda:0", (7, 0)), ("bf16", "cuda:0", (8, 6))],
)
def test_arithmetic_that_is_there(
    machine: Callable[..., None], precision: str, device: str, capability: tuple[int, int]
) -> None:
    machine(1, capability)
    check_precision(precision, torch.device(device))


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [
        ("fp16", "cpu", "precision fp16: a CPU cannot train in it"),
        ("bf16", "cuda:0", "precision bf16: a GPU lacks it"),
    ],
)
def test_arithmetic_that_is_not_there(machine: Callable[..., None], precision: str, device: str, message: str) -> None:
    machine(1, (7, 0))
    with pytest.raises(UserError, match=message):
        check_precision(precision, torch.device(device))


def test_memory_is_counted_in_megabytes() -> None:
    before = peak_memory_mb(torch.device("cpu"))
    held = torch.ones(50_000_000, dtype=torch.uint8)
    # A Python process with torch takes between 100 MB and some GB.
    assert 100 < before <= peak_memory_mb(torch.device("cpu")) < 100_000
    assert int(held[0]) == 1


def test_memory_in_use_falls_again_and_its_peak_does_not() -> None:
    device = torch.device("cpu")
    before = memory_mb(device)
    block = np.ones(50_000_000)
    held, peak = memory_mb(device), peak_memory_mb(device)
    del block
    assert held - before == pytest.approx(400, abs=60)
    assert held - memory_mb(device) == pytest.approx(400, abs=60)
    # The kernel counts in batches of pages, so its figures lag by a few.
    assert peak_memory_mb(device) == pytest.approx(peak, abs=1)
    assert peak >= held - 1


def test_memory_in_use_of_a_gpu_is_what_is_allocated_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: {1: 3_000_000}[device.index])
    assert memory_mb(torch.device("cuda:1")) == 3.0


@pytest.fixture
def apple(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this process sees the GPU of Apple silicon, and no other."""
    machine(0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.usefixtures("apple")
def test_apples_gpu_is_taken_by_its_name_alone() -> None:
    assert resolve_device("mps") == torch.device("mps")
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.usefixtures("apple")
def test_apples_gpu_is_not_shared() -> None:
    with pytest.raises(UserError, match="device mps: 2 processes cannot share one GPU") as caught:
        resolve_device("mps", 0, 2)
    assert caught.value.remedy.startswith("Set gpus: 1")


@pytest.mark.parametrize(("is_built", "reason"), [(False, "torch's build for macOS"), (True, "macOS 14 or newer")])
def test_a_machine_without_apples_gpu_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, is_built: bool, reason: str
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: is_built)
    with pytest.raises(UserError, match="device mps: this process sees no Apple GPU") as caught:
        resolve_device("mps")
    assert reason in caught.value.remedy


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_apples_gpu_trains_in_fp32_alone(precision: str) -> None:
    check_precision("fp32", torch.device("mps"))
    with pytest.raises(UserError, match=f"precision {precision}: is not supported on device mps"):
        check_precision(precision, torch.device("mps"))


def test_sums_are_float32_where_there_is_no_float64() -> None:
    types = [float64_or_32(torch.device(name)) for name in ("cpu", "cuda:0", "mps")]
    assert types == [torch.float64, torch.float64, torch.float32]


def test_memory_of_apples_gpu_is_what_metal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 3_000_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 5_000_000)
    assert (memory_mb(torch.device("mps")), peak_memory_mb(torch.device("mps"))) == (3.0, 5.0)


@pytest.mark.usefixtures("apple")
def test_a_checkpoint_holds_the_state_of_apples_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [torch.tensor([1, 2], dtype=torch.uint8)]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: held[-1])
    monkeypatch.setattr(torch.mps, "set_rng_state", held.append)
    state = random_state()
    held.append(torch.zeros(2, dtype=torch.uint8))
    set_random_state(*state)
    assert held[-1].tolist() == [1, 2]
