"""The cluster, started once for all its tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from slurm import Cluster, missing_programs


def require(accounting: bool) -> None:
    """Skip a test where this machine cannot have a cluster."""
    if os.geteuid() != 0:
        pytest.skip("a cluster of one's own is started as root")
    missing = missing_programs(accounting)
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: slurm-wlm slurmdbd munge mariadb-server)")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running SLURM with accounting."""
    require(accounting=True)
    running = Cluster()
    try:
        running.start()
        yield running
    finally:
        running.stop()
