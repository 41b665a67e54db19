"""One of the processes of `run_in_processes`: `python -m assertkd.training.parallel.worker FOLDER RANK`."""

import importlib
import json
import logging
import os
import sys
import threading
from pathlib import Path

from assertkd.errors import UserError
from assertkd.files import read_json, write_text
from assertkd.runtime.logs import LOG_FORMAT
from assertkd.runtime.threads import set_threads
from assertkd.training.parallel.launch import JOB_FILE, MEETING_POINT, fault_file, from_json
from assertkd.training.parallel.process_group import joined


def main(folder: Path, rank: int) -> int:
    """Do this process's part of the job in `folder`; return the exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = read_json(folder / JOB_FILE)
    package = logging.getLogger("assertkd")
    package.setLevel(logging.INFO if rank == 0 else logging.ERROR)
    for path in job["logs"] if rank == 0 else []:
        handler = logging.FileHandler(path, mode="a", encoding="utf-8")
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        package.addHandler(handler)
    set_threads(job["threads"])
    stage = getattr(importlib.import_module(job["module"]), job["stage"])
    try:
        with joined(folder / MEETING_POINT, rank, job["size"]):
            stage(**from_json(stage, job["arguments"]))
    except UserError as fault:
        write_text(fault_file(folder, rank), json.dumps({"problem": fault.problem, "remedy": fault.remedy}))
        return 1
    except Exception:
        package.exception("process %d stopped by a fault of the program", rank)
        raise
    return 0


def _end_with_parent() -> None:
    # The pipe ends when the parent does, however it ends. Not by `sys.stdin`: its lock would be held at the exit.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
