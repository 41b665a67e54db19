"""What this machine has for AssertKD: programs, devices, memory, models; and what the lack of each means."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil

from assertkd.errors import UserError
from assertkd.evaluation.execution.confine import find_confinement
from assertkd.evaluation.execution.jdk import ToolMissingError, find_toolchain
from assertkd.runtime.machine import cores, has_gpu

LOCKS = tuple(Path(__file__).parents[2] / f"{name}.lock" for name in ("requirements", "requirements-torch"))
"""The locked versions, in the project's folder; absent where only the package was installed."""
LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)( *;)?", re.MULTILINE)
"""A locked package: its name, its version, and a semicolon where it is for some systems only."""
REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*")

DEMO_MEMORY, DEMO_DISK = 2e9, 0.5e9
"""Bytes of main memory and of disk that the demo takes at most, with two jobs side by side."""
LISTED = 6
"""Packages that a line names."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        subject: what was looked for.
        found: what there is.
        meaning: what a lack means for the user and what to do; empty where nothing is lacking.
        is_fault: whether the demo cannot run without it.
    """

    subject: str
    found: str
    meaning: str = ""
    is_fault: bool = False


def examine(configfile: Path) -> list[Finding]:
    """Return what this machine has, for the runs of a config file; nothing is downloaded."""
    findings = [
        Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *packages(LOCKS),
        *devices(),
        *memory_and_disk(),
        *java(),
        slurm(),
    ]
    # Reading runs and cache takes packages that may be the ones that are missing.
    has_packages = not any(finding.is_fault for finding in findings if finding.subject in ("packages", "torch"))
    return [*findings, *models(configfile)] if has_packages else findings


def packages(locks: Sequence[Path]) -> Iterator[Finding]:
    """Yield what AssertKD needs and does not find, and which versions differ from the locked ones."""
    try:
        needed = [REQUIREMENT.findall(line)[0] for line in requires("assertkd") or [] if ";" not in line]
    except PackageNotFoundError:
        needed = []
    if missing := [name for name in needed if _version(name) is None]:
        yield Finding("packages", f"not installed: {_some(missing)}", "Install them: make venv, or pip install .", True)
    locked = [found for lock in locks if lock.is_file() for found in LOCKED.findall(lock.read_text(encoding="utf-8"))]
    if not locked:
        return
    installed = {name: _version(name) for name, _, _ in locked}
    different = [
        f"{name} {installed[name]} ({wanted})" for name, wanted, _ in locked if installed[name] not in (None, wanted)
    ]
    absent = [name for name, _, only_for in locked if installed[name] is None and not only_for]
    same = sum(installed[name] == wanted for name, wanted, _ in locked)
    found = f"{same} packages as in {locks[0].name}"
    meaning = ""
    if different:
        found += f"; different (locked): {_some(different)}"
        meaning = "Results may differ from those of the locked versions, which make venv installs."
    if absent:
        found += f"; not installed: {_some(absent)}"
        meaning = meaning or "What only tests and linters need may be left out."
    yield Finding("versions", found, meaning)


def devices() -> Iterator[Finding]:
    """Yield torch's build and each GPU that it sees."""
    try:
        import torch
    except (ImportError, OSError) as fault:
        yield Finding("torch", f"cannot be imported ({fault})", "Install it: make venv.", True)
        return
    yield Finding("torch", f"{torch.__version__}, {f'CUDA {torch.version.cuda}' if torch.version.cuda else 'no CUDA'}")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        has_bf16 = torch.cuda.get_device_capability(index) >= (8, 0)
        yield Finding(
            f"GPU {index}",
            f"{torch.cuda.get_device_name(index)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free",
            "" if has_bf16 else "It has no bf16: set precision: fp32.",
        )
    if torch.backends.mps.is_available():
        yield Finding("GPU", "Apple silicon", "`device: auto` does not take it. Set device: mps (docs/training.md).")
    elif not torch.cuda.device_count():
        meaning = "Models are trained on the CPU: enough for the demo, too slow for CodeT5+."
        if has_gpu():
            meaning = (
                "There is an NVIDIA GPU that torch does not see: compare the driver (nvidia-smi) with torch's CUDA, "
                "and check CUDA_VISIBLE_DEVICES."
            )
        yield Finding("GPU", "none", meaning)


def memory_and_disk() -> Iterator[Finding]:
    """Yield cores, main memory, and the space of this folder."""
    memory = psutil.virtual_memory()
    yield Finding("CPU", f"{cores()} cores")
    yield Finding(
        "memory",
        f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available",
        "" if memory.available >= DEMO_MEMORY else f"The demo takes up to {DEMO_MEMORY / 1e9:g} GB.",
        memory.available < DEMO_MEMORY,
    )
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding(
        "disk",
        f"{free / 1e9:.1f} GB free in {Path.cwd()}",
        "" if free >= DEMO_DISK else f"The demo takes up to {DEMO_DISK / 1e9:g} GB.",
        free < DEMO_DISK,
    )


def java() -> Iterator[Finding]:
    """Yield the JDK with JUnit, and how strictly what it runs is confined."""
    try:
        toolchain = find_toolchain()
    except ToolMissingError as missing:
        yield Finding(
            "Java",
            str(missing),
            "Assertions are not run; all other metrics are there (docs/execution.md).",
        )
        return
    jars = ", ".join(jar.name for jar in toolchain.junit)
    yield Finding("Java", f"JDK {toolchain.version}, {jars}")
    try:
        found = find_confinement(toolchain.java).bwrap
    except ToolMissingError as missing:
        yield Finding("isolation", str(missing), "All other metrics are there (docs/execution.md#isolation).")
    else:
        yield Finding("isolation", f"Java runs confined by {found}")


def slurm() -> Finding:
    """Return the version of SLURM's commands, and whether the account is set."""
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        return Finding("SLURM", "none", "Runs are local; profiles/delftblue and profiles/slurm need sbatch.")
    try:
        found = subprocess.run([sbatch, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        found = ""
    account = os.environ.get("SBATCH_ACCOUNT")
    return Finding(
        "SLURM",
        f"{found.strip() or sbatch}, SBATCH_ACCOUNT {account or 'not set'}",
        "" if account else "A cluster that charges accounts needs it: docs/cluster.md.",
    )


def models(configfile: Path) -> Iterator[Finding]:
    """Yield what is in the hub's cache, and which models of the config's runs are missing there."""
    from huggingface_hub import constants

    from assertkd.models.gguf import is_gguf
    from assertkd.models.hub import cached_models

    cached = cached_models()
    size = sum(model.size for model in cached.values())
    yield Finding("hub cache", f"{constants.HF_HUB_CACHE}: {len(cached)} models, {size / 1e9:.1f} GB")
    for name, users in _named_models(configfile).items():
        used = f"runs {', '.join(users)}"
        if Path(name).is_dir():
            yield Finding(name, f"a folder ({used})")
        elif is_gguf(name):
            yield _gguf(name, used)
        elif name in cached and cached[name].has_weights:
            yield Finding(name, f"{cached[name].size / 1e9:.2f} GB in the cache ({used})")
        else:
            yield Finding(
                name,
                f"not here ({used})",
                "It is downloaded when it is first used, or ahead by the rule prefetch_models (docs/cluster.md).",
            )


def _gguf(name: str, used: str) -> Finding:
    from assertkd.models.gguf import gguf_file, is_converted

    try:
        file = gguf_file(name)
        state = "converted" if is_converted(name) else "is converted when it is first used"
    except UserError as fault:
        return Finding(name, f"not here ({used})", f"{fault.problem}. {fault.remedy}")
    return Finding(name, f"{file}, {file.stat().st_size / 1e9:.2f} GB, {state} ({used})")


def _named_models(configfile: Path) -> dict[str, list[str]]:
    """Return every model and encoder that a run takes from the hub or a folder, with the runs that do."""
    from assertkd.cluster.params import PrefetchModelsParams, run_without_records
    from assertkd.models.encoders import PACKAGED
    from assertkd.settings.config_file import load_config

    users: dict[str, list[str]] = {}
    config = load_config(configfile)
    for run in config.get("runs") or {}:
        params = PrefetchModelsParams.from_run(run_without_records(config, str(run)))
        for name in dict.fromkeys([*params.models, *params.encoders]):
            if name != PACKAGED:
                users.setdefault(name, []).append(str(run))
    return users


def _version(name: str) -> str | None:
    """Return the version of an installed package without what names its build, or None."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
