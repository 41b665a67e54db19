"""The processes of this machine, as tests look for those that should have ended."""

import subprocess
import time


def commands() -> str:
    """Return the command lines of all processes, a line each."""
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def all_ended(folder: str) -> bool:
    """Whether within ten seconds no process's command names this folder: what is killed needs a moment to be gone."""
    for _ in range(100):
        if folder not in commands():
            return True
        time.sleep(0.1)
    return False
