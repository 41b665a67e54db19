"""What this machine has for jobs, without loading torch: cores, GPUs and the Python that runs them."""

import os
import re
from itertools import takewhile
from pathlib import Path

from assertkd.errors import UserError

DEVICES = Path("/dev")
"""The folder of the GPUs' device nodes."""

SPECIAL = re.compile(r"""^~|[\s'"\\$`&|;<>()*?\[\]{}!#]""")
"""What a shell splits a path at, or puts something else for."""


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_gpu() -> bool:
    """Return whether this process may use an NVIDIA GPU, without loading torch."""
    return gpu_count() > 0


def gpu_count() -> int:
    """Return how many NVIDIA GPUs this process may use, as CUDA_VISIBLE_DEVICES says it, without loading torch."""
    nodes = [node for node in DEVICES.glob("nvidia*") if node.name.removeprefix("nvidia").isdigit()]
    # WSL2 has one node for all its GPUs.
    count = len(nodes) or int((DEVICES / "dxg").exists())
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return count
    # CUDA ignores what stands behind the first entry that names no GPU.
    return min(count, len(list(takewhile(lambda one: one.strip() not in ("", "-1"), named.split(",")))))


def unquoted_python(executable: str, folder: Path) -> str:
    """Return the path of a Python that a shell in `folder` takes without quotes, in which Snakemake does not put it.

    Args:
        executable: its absolute path.
        folder: where jobs start; a path relative to it is free of the blanks in the folder's own.

    Raises:
        UserError: no path to it is.
    """
    for path in (executable, os.path.relpath(executable, folder)):
        if not SPECIAL.search(path):
            return path
    raise UserError(
        f"{executable}: Snakemake cannot start jobs with a Python whose path has blanks or other special characters",
        f"Make the environment in {folder} itself (make venv), or in a folder without them.",
    )
