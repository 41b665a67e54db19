"""A pool that all tests share, skipped where the machine has no JDK or JUnit, or cannot confine what it runs.

With ASSERTKD_MUST_CONFINE in the environment that is a failure.
"""

import os
from collections.abc import Iterator

import pytest

from assertkd.evaluation.execution.confine import find_confinement
from assertkd.evaluation.execution.jdk import Toolchain, ToolMissingError, find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """Return this machine's JDK and JUnit."""
    given = os.environ.get("ASSERTKD_JUNIT_CLASSPATH")
    try:
        found = find_toolchain(junit=given.split(os.pathsep) if given else ())
        find_confinement(found.java)
        return found
    except ToolMissingError as missing:
        if os.environ.get("ASSERTKD_MUST_CONFINE"):
            pytest.fail(f"ASSERTKD_MUST_CONFINE is set, but {missing}")
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def pool(toolchain: Toolchain) -> Iterator[ExecutionPool]:
    """Return a running pool."""
    with ExecutionPool(toolchain, workers=1, heap_mb=128) as running:
        yield running
