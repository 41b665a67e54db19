"""The job of a stage in the workflow: its log, threads, lock, environment modules, and user errors in two lines."""

import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from assertkd.errors import UserError
from assertkd.locking import held
from assertkd.runtime.logs import PROGRAM_FAULT, LogFile, attached, hide_progress_bars
from assertkd.runtime.out_of_memory import is_out_of_memory, out_of_memory
from assertkd.runtime.output import printable_output
from assertkd.runtime.storage import storage_fault
from assertkd.signals import StopRequested, StopSignals

WANTED_MODULES = "ASSERTKD_MODULES"
"""The environment variable in which the workflow says which modules its GPU jobs load, names apart by blanks."""


def set_threads(threads: int) -> None:
    """Set torch's number of threads, and switch off transformers' progress bars."""
    import torch

    torch.set_num_threads(threads)
    hide_progress_bars()


def check_modules(environment: Mapping[str, str]) -> None:
    """Refuse to run a job whose environment modules were not loaded, since a failed `module load` ends nothing.

    Args:
        environment: the job's environment variables; `LOADEDMODULES` is what Lmod and Environment Modules keep.

    Raises:
        UserError: naming the modules that are missing.
    """
    wanted = environment.get(WANTED_MODULES, "").split()
    loaded = [module for module in environment.get("LOADEDMODULES", "").split(":") if module]
    missing = [name for name in wanted if not any(one == name or one.startswith(f"{name}/") for one in loaded)]
    if missing:
        raise UserError(
            f"module load {' '.join(missing)}: failed, loaded are: {', '.join(loaded) or 'none'}",
            "List the modules with `module spider`, and name them in config.yaml (cluster.modules); or run without "
            "--software-deployment-method env-modules.",
        )


@contextmanager
def job(
    log: str | Path, threads: int = 1, settings: Mapping[str, Any] = MappingProxyType({}), owner: str = ""
) -> Iterator[None]:
    """Run a stage with the package's log in the file `log` and torch on `threads` threads.

    The environment modules that the workflow requests must be loaded.
    A `UserError` is logged and printed as its two lines, and ends the process with exit code 1. Running out of memory
    ends it in the same way, with the keys of the settings that take less, and so does a disk that is full or may not be
    written. A stopping signal (`assertkd.signals`) is logged and ends it with 128 + the signal's number, so that the
    workflow may try again. Any other exception is logged with its traceback and raised.

    Args:
        log: the job's log file, replaced.
        threads: of torch's operations.
        settings: what the rule gives the stage, where the stage's memory depends on it.
        owner: the section of the config whose `training` the stage does.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    package = logging.getLogger("assertkd")
    package.setLevel(logging.INFO)
    with attached(LogFile(path), logging.getLogger()):
        try:
            with StopSignals(), printable_output(), _quiet_writers():
                check_modules(os.environ)
                set_threads(threads)
                yield
        except UserError as fault:
            raise _ended_by(fault) from None
        except StopRequested as stop:
            package.warning("%s", stop)
            raise
        except Exception as fault:
            if is_out_of_memory(fault):
                raise _ended_by(out_of_memory(fault, settings, owner)) from None
            if (refusal := storage_fault(fault, Path("results", *path.parts[1:2]))) is not None:
                raise _ended_by(refusal) from None
            package.exception(PROGRAM_FAULT)
            raise


@contextmanager
def _quiet_writers() -> Iterator[None]:
    """Print no traceback of a thread that finds the disk full; TensorBoard's raises the fault again in the stage."""
    former = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is None or storage_fault(ended.exc_value) is None:
            former(ended)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = former


def _ended_by(fault: UserError) -> SystemExit:
    """Log and print a user's fault, and return the exit that follows."""
    logging.getLogger("assertkd").error("%s", fault)
    print(f"Error: {fault}", file=sys.stderr)
    return SystemExit(1)


@contextmanager
def sole_writer(folder: Path, part: str = "") -> Iterator[None]:
    """Lock the output folder `folder`, or this part of it, against other writers while the block runs.

    If another process writes it, two lines say which one and what to do, and this process ends with code 1. They are
    logged too, so that the workflow finds them, in a file of their own: the job's log is the other process's.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held(folder, part))
        except (UserError, OSError) as error:
            fault = error if isinstance(error, UserError) else storage_fault(error, folder)
            if fault is None:
                raise
            log = Path("logs", *folder.parts[1:], f"{part or folder.name}.locked.log")
            log.parent.mkdir(parents=True, exist_ok=True)
            with attached(LogFile(log), logging.getLogger()):
                raise _ended_by(fault) from None
        yield
