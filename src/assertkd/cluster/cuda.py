"""What a job's GPUs are, whether they compute rightly, and whether a run's models can be trained on them."""

import subprocess
import time
from pathlib import Path
from typing import Any

import torch

from assertkd.cluster.memory import memory_of
from assertkd.cluster.params import CheckCudaParams
from assertkd.errors import UserError
from assertkd.files import read_json, write_json

SIZE = 4096
"""Rows and columns of the matrices that are multiplied."""
REPEATS = 10
TOLERANCE = {torch.float32: 1e-2, torch.bfloat16: 5e-2}
"""Largest relative error of a product against float64, by arithmetic; float32 leaves room for TF32."""


def measure_cuda(path: Path) -> None:
    """Write what the GPUs of this process are and do to `path`, as JSON.

    Raises:
        UserError: this process sees no GPU, or one of them multiplies matrices wrongly.
    """
    if not torch.cuda.is_available():
        built = torch.version.cuda
        raise UserError(
            f"torch {torch.__version__} sees no GPU (built for CUDA {built or 'none: a CPU build'}; driver: "
            f"{driver_version() or 'nvidia-smi does not answer'})",
            "Check that the job was given a GPU (CUDA_VISIBLE_DEVICES), that the driver is not older than torch's CUDA "
            "needs, and that the environment holds a CUDA build of torch: docs/cluster.md.",
        )
    devices = [_measure(torch.device("cuda", index)) for index in range(torch.cuda.device_count())]
    write_json(
        path,
        {"driver": driver_version(), "cuda": torch.version.cuda, "torch": torch.__version__, "devices": devices},
    )


def driver_version() -> str | None:
    """Return the version of the NVIDIA driver, or None where nvidia-smi does not say."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.split("\n")[0].strip() or None


def product_error(device: torch.device, arithmetic: torch.dtype, size: int = 256) -> float:
    """Return the largest error of a matrix product on `device`, relative to the product's largest entry in float64."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator, dtype=torch.float64) for _ in range(2))
    exact = left @ right
    computed = (left.to(device, arithmetic) @ right.to(device, arithmetic)).cpu().double()
    return float((computed - exact).abs().max() / exact.abs().max())


def _measure(device: torch.device) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    products = {}
    for arithmetic in TOLERANCE if has_bf16 else [torch.float32]:
        error = product_error(device, arithmetic)
        if error > TOLERANCE[arithmetic]:
            raise UserError(
                f"{properties.name}: a product of matrices in {arithmetic} is off by {error:.1%}",
                "The GPU or its driver is broken: exclude the node (slurm_extra: --exclude=<node>) and tell the "
                "cluster's administrators.",
            )
        tflops = round(_rate(device, arithmetic) / 1e12, 1)
        products[str(arithmetic).removeprefix("torch.")] = {"error": error, "tflops": tflops}
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_gb": round(total / 1e9, 1),
        "free_gb": round(free / 1e9, 1),
        "bf16": has_bf16,
        "products": products,
    }


def _rate(device: torch.device, arithmetic: torch.dtype) -> float:
    """Return the operations a second of a large matrix product."""
    left = torch.ones(SIZE, SIZE, device=device, dtype=arithmetic)
    left @ left
    torch.cuda.synchronize(device)
    began = time.monotonic()
    for _ in range(REPEATS):
        left @ left
    torch.cuda.synchronize(device)
    return REPEATS * 2 * SIZE**3 / (time.monotonic() - began)


def check_cuda(params: CheckCudaParams, figures: Path) -> str:
    """Return what `measure_cuda` wrote to `figures`, as lines to read, and whether each training fits."""
    found = read_json(figures)
    lines = [f"driver {found['driver']}, CUDA {found['cuda']}, torch {found['torch']}"]
    for index, device in enumerate(found["devices"]):
        products = ", ".join(f"{name} {one['tflops']} TFLOP/s" for name, one in device["products"].items())
        lines.append(
            f"GPU {index}: {device['name']}, capability {device['capability']}, {device['free_gb']} of "
            f"{device['memory_gb']} GB free, {'bf16' if device['bf16'] else 'no bf16'}; {products}"
        )
    smallest = min(device["free_gb"] for device in found["devices"])
    has_bf16 = all(device["bf16"] for device in found["devices"])
    sizes = params.max_input_len, params.max_output_len, params.vocab_size
    for name, each in params.trainings.items():
        memory = memory_of(each, sizes)
        if memory is None:
            lines.append(f"{name} ({each.model.name}): its sizes are not known here; run prefetch_models first")
            continue
        verdict = "fits"
        if each.training.precision == "bf16" and not has_bf16:
            verdict = "does not run, since this GPU has no bf16 (set precision: fp32)"
        elif memory.total > smallest * 1e9:
            verdict = "does not fit (lower batch_size and raise gradient_accumulation_steps, or take a larger GPU)"
        lines.append(
            f"{name} ({each.model.name}, {memory.parameters / 1e6:.0f}M parameters): "
            f"about {memory.total / 1e9:.1f} GB, {memory.weights / 1e9:.1f} of them weights and optimizer: {verdict}"
        )
    if params.logits_precision == "bf16" and not has_bf16:
        lines.append("the teacher's pass: does not run, since this GPU has no bf16 (set logits.precision: fp32)")
    return "\n".join(lines)
