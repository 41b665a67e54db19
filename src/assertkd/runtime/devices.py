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
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:N` in one of `size` processes that train together.

    GPUs are counted among those in CUDA_VISIBLE_DEVICES. Process `rank` takes the GPU of its number. `auto` is a GPU,
    or the CPU if this process sees none; in a SLURM job without GPUs it is the CPU, even if the process sees the GPUs
    of other jobs.

    Raises:
        UserError: this process does not see the GPU; or several processes are to train on one GPU, or with `auto`
            where there are fewer GPUs than processes.
    """
    gpuless_job = "SLURM_JOB_ID" in os.environ and not any(os.environ.get(variable) for variable in GRANTED_GPUS)
    if name == "auto" and size == 1:
        return torch.device("cuda:0" if torch.cuda.is_available() and not gpuless_job else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name not in ("auto", "cuda") and size > 1:
        raise UserError(
            f"device {name}: {size} processes cannot share one GPU",
            "Set device: cuda, which gives each its own, or gpus: 1.",
        )
    device = torch.device(f"cuda:{rank}" if name in ("auto", "cuda") else name)
    last = max(device.index, size - 1)
    seen = 0 if name == "auto" and gpuless_job else torch.cuda.device_count()
    if last >= seen:
        setting = f"device {name}" if size == 1 else f"device {name} and gpus: {size}"
        raise UserError(f"{setting}: this process sees {seen} GPUs", _remedy(size))
    return device


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device lacks.

    Raises:
        UserError: fp16 on a CPU, or bf16 on a GPU that can only emulate it.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UserError("precision fp16: a CPU cannot train in it", "Set precision: fp32 (or bf16).")
    if precision == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < BF16_CAPABILITY:
        raise UserError(
            f"precision bf16: {torch.cuda.get_device_name(device)} lacks it", "Set precision: fp16 or fp32."
        )


def memory_mb(device: torch.device) -> float:
    """Return the memory in use now, in MB: allocated on a CUDA device, else the resident set of this process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 1e6
    return psutil.Process().memory_info().rss / 1e6


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory so far, in MB: of the GPU for a CUDA device, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if STATUS.exists():
        # Linux's ru_maxrss begins at what the process that started this one had.
        return int(STATUS.read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _remedy(size: int) -> str:
    if not torch.version.cuda:
        return "This torch was built without CUDA: set device: cpu, or install one that has it."
    which = "CUDA_VISIBLE_DEVICES says which it may use"
    if size > 1:
        return f"Give the job as many GPUs ({which}), or set gpus: 1; with device: cpu, that many CPU processes train."
    return f"Set device: auto or cpu, or give the job a GPU ({which})."
