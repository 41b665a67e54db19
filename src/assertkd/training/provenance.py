"""What a run must say so that it can be repeated: versions, commit, input hashes, machine."""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("assertkd", "torch", "transformers", "tokenizers", "numpy", "safetensors")


@dataclass(frozen=True)
class Recipe:
    """How a model was asked for: enough to train it again where its inputs are the same.

    Attributes:
        stage: `teacher` or `student`.
        settings: the stage's settings, as JSON values.
        inputs: name to path of what the stage reads.
        config: the configuration of the whole run, for information.
    """

    stage: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    config: Mapping[str, Any] | None = None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def git_commit() -> str | None:
    """Return the commit that the code stands at, `+changes` behind it where files differ, or None outside git."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        changes = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + changes
    except (OSError, subprocess.SubprocessError):
        return None


def machine(device: torch.device) -> dict[str, Any]:
    """Return the device, its name and the threads that torch computes with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads(), "host": platform.node()}
