"""The processes of this machine, as tests look for those that should have ended."""

import subprocess


def commands() -> str:
    """Return the command lines of all processes, a line each."""
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
