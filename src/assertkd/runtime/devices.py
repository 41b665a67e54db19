"""Where a process computes: device and arithmetic, checked before anything is loaded."""

import os
import resource
import sys
from pathlib import Path

import psutil
import torch

from assertkd.errors import UserError

BF16_CAPABILITY = (8, 0)
"""Ampere. Older GPUs (V100, T4) emulate bf16, many times slower than fp32; torch calls that supported."""

GRANTED_GPUS = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE", "CUDA_VISIBLE_DEVICES")
"""Variables of a SLURM job that has GPUs: at least one of them is set."""

STATUS = Path("/proc/self/status")
"""File in which Linux reports the peak memory of this process (VmHWM)."""


def resolve_device(name: str, rank: int = 0, size: int = 1) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps` in one of `size` processes that train together.

    GPUs are counted among those in CUDA_VISIBLE_DEVICES. Process `rank` takes the GPU of its number. `auto` is a CUDA
    GPU, or the CPU if this process sees none; in a SLURM job without GPUs it is the CPU, even if the process sees the
    GPUs of other jobs. Apple's GPU (`mps`) must be asked for by name, since its results were never compared.

    Raises:
        UserError: this process does not see the GPU; or several processes are to train on one GPU, or with `auto`
            where there are fewer GPUs than processes.
    """
    gpuless_job = "SLURM_JOB_ID" in os.environ and not any(os.environ.get(variable) for variable in GRANTED_GPUS)
    if name == "auto" and size == 1:
        return torch.device("cuda:0" if torch.cuda.is_available() and not gpuless_job else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps" and size == 1:
        if not torch.backends.mps.is_available():
            raise UserError("device mps: this process sees no Apple GPU", _remedy_without_mps())
        return torch.device("mps")
    if name not in ("auto", "cuda") and size > 1:
        raise UserError(
            f"device {name}: {size} processes cannot share one GPU",
            "Set gpus: 1; or, with several CUDA GPUs, device: cuda, which gives each its own.",
        )
    device = torch.device(f"cuda:{rank}" if name in ("auto", "cuda") else name)
    last = max(device.index, size - 1)
    seen = 0 if name == "auto" and gpuless_job else torch.cuda.device_count()
    if last >= seen:
        setting = f"device {name}" if size == 1 else f"device {name} and gpus: {size}"
        raise UserError(f"{setting}: this process sees {seen} GPUs", _remedy(size))
    return device


def check_precision(precision: str, device: torch.device, key: str = "precision") -> None:
    """Refuse a precision that the device lacks; `key` is the setting's.

    Raises:
        UserError: fp16 on a CPU, bf16 on a GPU that can only emulate it, or anything but fp32 on Apple's.
    """
    if precision != "fp32" and device.type == "mps":
        raise UserError(f"{key} {precision}: is not supported on device mps", f"Set {key}: fp32.")
    if precision == "fp16" and device.type == "cpu":
        raise UserError(f"{key} fp16: a CPU cannot train in it", f"Set {key}: fp32 (or bf16).")
    if precision == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < BF16_CAPABILITY:
        raise UserError(
            f"{key} bf16: {torch.cuda.get_device_name(device)} lacks it", f"Set {key}: fp32 (or fp16, in training)."
        )


def float64_or_32(device: torch.device) -> torch.dtype:
    """Return the type of sums on a device: float64, or float32 on Apple's GPU, which has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def memory_mb(device: torch.device) -> float:
    """Return the memory in use now, in MB: allocated on a GPU, else the resident set of this process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 1e6
    if device.type == "mps":
        return torch.mps.current_allocated_memory() / 1e6
    return psutil.Process().memory_info().rss / 1e6


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory so far, in MB: of a CUDA GPU, else of this process.

    Of Apple's GPU, which keeps no peak, it is what this process holds of its memory now, free blocks included.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 1e6
    if STATUS.exists():
        # Linux's ru_maxrss begins at what the process that started this one had.
        return int(STATUS.read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _remedy_without_mps() -> str:
    if not torch.backends.mps.is_built():
        return "It needs a Mac with Apple silicon, and torch's build for macOS: set device: auto or cpu."
    return "It needs a Mac with Apple silicon and macOS 14 or newer: set device: auto or cpu."


def _remedy(size: int) -> str:
    if not torch.version.cuda:
        return "This torch was built without CUDA: set device: cpu, or install one that has it."
    which = "CUDA_VISIBLE_DEVICES says which it may use"
    if size > 1:
        return f"Give the job as many GPUs ({which}), or set gpus: 1; with device: cpu, that many CPU processes train."
    return f"Set device: auto or cpu, or give the job a GPU ({which})."
