"""Where a process computes: device and arithmetic, checked before anything is loaded."""

import resource
import sys

import torch

from assertkd.errors import UserError


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `cuda:N` means here.

    `auto` is the first GPU that CUDA_VISIBLE_DEVICES leaves, or the CPU where there is none.

    Raises:
        UserError: a GPU is asked for that this process cannot see.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device("cuda:0" if name == "cuda" else name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {name}: this process sees {torch.cuda.device_count()} GPUs",
            "Set device: auto or cpu, or give the job a GPU (CUDA_VISIBLE_DEVICES says which it may use).",
        )
    return device


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse arithmetic that the device does not have.

    Raises:
        UserError: fp16 on a CPU, or bf16 on a GPU that lacks it.
    """
    if precision == "fp16" and device.type == "cpu":
        raise UserError("precision fp16: a CPU cannot train in it", "Set precision: fp32 (or bf16).")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError(
            f"precision bf16: {torch.cuda.get_device_name(device)} lacks it", "Set precision: fp16 or fp32."
        )


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory used so far, in MB: of the GPU where one is used, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
