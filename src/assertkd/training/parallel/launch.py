"""Runs a stage in several processes that train one model together, and waits for them.

torchrun would do, but for three things: it answers every fault with exit code 1, and a stopped training's own code must
reach the workflow; it does not pass on SIGUSR1, which a cluster sends before a job's time is up; and its account of a
user's fault is a page of tracebacks.
"""

import importlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import get_annotations, signature
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, cast

import torch
from pydantic import TypeAdapter

from assertkd.errors import UserError
from assertkd.files import read_json, write_json
from assertkd.runtime.devices import resolve_device
from assertkd.runtime.job import set_threads
from assertkd.runtime.logs import LOG_FORMAT, LogFile
from assertkd.runtime.out_of_memory import is_out_of_memory
from assertkd.runtime.storage import storage_fault
from assertkd.settings import TrainingSettings
from assertkd.training.parallel.process_group import ProcessGroup, joined_processes

GRACE = 60.0
"""Seconds that the other processes have to end by themselves once one has failed unasked."""
POLL = 0.1
"""Seconds between two looks at the processes."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

Stage = TypeVar("Stage", bound=Callable[..., None])

log = logging.getLogger(__name__)


def in_processes(stage: Stage) -> Stage:
    """Let a stage's training run in as many processes as its `params.training.gpus` asks for.

    The stage is a function of a module, its first parameter is `params`, and all its parameters are annotated with
    types that pydantic takes to JSON and back. Its processes call it with the same arguments.
    """

    @wraps(stage)
    def launched(params: Any, *arguments: Any, **named: Any) -> None:
        training: TrainingSettings = params.training
        if training.gpus == 1 or ProcessGroup().size > 1:
            stage(params, *arguments, **named)
            return
        resolve_device(training.device, size=training.gpus)
        run_in_processes(stage, training.gpus, signature(stage).bind(params, *arguments, **named).arguments)

    return cast(Stage, launched)


def run_in_processes(stage: Callable[..., None], size: int, arguments: dict[str, Any]) -> None:
    """Call `stage` with these arguments in `size` processes, joined as one `ProcessGroup`; return when all are done.

    The signals of `PASSED_ON` go on to every process. When this process dies, they end too. Process 0 writes on in the
    log files that this one has open.

    Args:
        stage: as `in_processes` takes it.
        size: the number of processes, which share this one's threads.
        arguments: its arguments by name.

    Raises:
        UserError: the one that a process stopped with.
        SystemExit: a process ended with an exit code that is not 0, and this with the same.
    """
    threads = max(1, torch.get_num_threads() // size)
    handlers = [*logging.getLogger().handlers, *logging.getLogger("assertkd").handlers]
    with tempfile.TemporaryDirectory(prefix="assertkd-") as name:
        folder = Path(name)
        job = {
            "module": stage.__module__,
            "stage": stage.__qualname__,
            "arguments": to_json(stage, arguments),
            "size": size,
            "threads": threads,
            "logs": [handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)],
        }
        write_json(folder / "job.json", job)
        log.info("%d processes of %d threads each", size, threads)
        command = [sys.executable, "-m", "assertkd.training.parallel.launch", str(folder)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        # Each in a session of its own: a signal to the terminal's group comes once, passed on from here. The open pipe
        # tells a process that this one lives.
        processes = [
            subprocess.Popen([*command, str(rank)], stdin=subprocess.PIPE, env=environment, start_new_session=True)
            for rank in range(size)
        ]
        try:
            with _passing_on(processes) as passed_on:
                code = _wait(processes, passed_on)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        if code:
            for file in sorted(folder.glob("fault-*.json")):
                raise UserError(**read_json(file))
            for file in sorted(folder.glob("memory-*.json")):
                raise MemoryError(read_json(file))
            raise SystemExit(code)


def take_part(folder: Path, rank: int) -> int:
    """Do one process's part of the job in `folder`; return the exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = read_json(folder / "job.json")
    package = logging.getLogger("assertkd")
    package.setLevel(logging.INFO if rank == 0 else logging.ERROR)
    for path in job["logs"] if rank == 0 else []:
        handler = LogFile(Path(path), append=True)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        package.addHandler(handler)
    set_threads(job["threads"])
    stage = getattr(importlib.import_module(job["module"]), job["stage"])
    try:
        with joined_processes(folder / "meeting_point", rank, job["size"]):
            stage(**from_json(stage, job["arguments"]))
    except UserError as fault:
        write_json(folder / f"fault-{rank}.json", {"problem": fault.problem, "remedy": fault.remedy})
        return 1
    except Exception as fault:
        if is_out_of_memory(fault):
            write_json(folder / f"memory-{rank}.json", str(fault))
            return 1
        refusal = storage_fault(fault, Path(str(job["arguments"].get("folder", "."))))
        if refusal is not None:
            write_json(folder / f"fault-{rank}.json", {"problem": refusal.problem, "remedy": refusal.remedy})
            return 1
        package.exception("process %d stopped by a fault of the program", rank)
        raise
    return 0


def to_json(stage: Callable[..., None], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a stage as JSON values, by its annotations."""
    hints = get_annotations(stage, eval_str=True)
    return {name: TypeAdapter(hints[name]).dump_python(value, mode="json") for name, value in arguments.items()}


def from_json(stage: Callable[..., None], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a stage from what `to_json` made of them."""
    hints = get_annotations(stage, eval_str=True)
    return {name: TypeAdapter(hints[name]).validate_python(value) for name, value in arguments.items()}


@contextmanager
def _passing_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass signals on to the processes while the block runs; gives the list of those so far."""
    passed_on: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        passed_on.append(number)
        for process in processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield passed_on
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes: Sequence[subprocess.Popen[bytes]], passed_on: Sequence[int]) -> int:
    """Return 0 when all have ended well, else an exit code.

    After a failure the others have `GRACE` seconds; after a signal all the time that saving takes them.
    """
    deadline = float("inf")
    while True:
        codes = [process.poll() for process in processes]
        failed = [code for code in codes if code]
        if all(code is not None for code in codes) or time.monotonic() > deadline:
            # Killed from outside (no memory, say) counts before what that made of the others.
            killed = [128 - code for code in failed if code < 0]
            return next(iter([*killed, *failed]), 0)
        if failed and deadline == float("inf") and not passed_on:
            deadline = time.monotonic() + GRACE
        time.sleep(POLL)


def _end_with_parent() -> None:
    # The pipe ends when the parent does, however it ends. Not by `sys.stdin`: its lock would be held at the exit.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(take_part(Path(sys.argv[1]), int(sys.argv[2])))
