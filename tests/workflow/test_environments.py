"""The conda environments hold what requirements.lock holds, and rules that load modules say so where that failed."""

import re
from pathlib import Path

import pytest
import yaml
from driver import PROJECT

from assertkd.errors import UserError
from assertkd.runtime.environment_modules import WANTED, check_modules


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    """Return package to version of the lines that pin one."""
    return {normalised(name): version for name, _, version in (line.partition("==") for line in lines) if version}


@pytest.fixture
def locked() -> dict[str, str]:
    return pins((PROJECT / "requirements.lock").read_text(encoding="utf-8").split())


@pytest.fixture
def needed() -> set[str]:
    """The direct dependencies but those of checks and tests."""
    runtime = (PROJECT / "requirements.in").read_text(encoding="utf-8").split("# checks and tests")[0]
    return {normalised(line) for line in runtime.splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("path", sorted((PROJECT / "workflow" / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_conda_environment_pins_what_the_lock_pins(path: Path, locked: dict[str, str], needed: set[str]) -> None:
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    (by_pip,) = [one["pip"] for one in dependencies if isinstance(one, dict)]
    pinned = pins(by_pip)
    assert set(pinned) == needed
    assert pinned == {name: locked[name] for name in needed}
    assert by_pip[-1] == "-e ../.."


def test_loaded_modules_are_enough_whatever_else_is_loaded() -> None:
    check_modules({WANTED: "2024r1 cuda/12.5", "LOADEDMODULES": "slurm:2024r1:openssl/3.2:cuda/12.5"})
    check_modules({WANTED: "cuda", "LOADEDMODULES": "cuda/12.5"})
    check_modules({"LOADEDMODULES": "slurm"})
    check_modules({})


@pytest.mark.parametrize("loaded", ["slurm:2024r1", "2024r1:cuda/12.50", "2024r1:cuda"])
def test_a_module_that_is_not_loaded_is_named(loaded: str) -> None:
    with pytest.raises(UserError, match=r"module load cuda/12\.5: failed, loaded are: ") as fault:
        check_modules({WANTED: "2024r1 cuda/12.5", "LOADEDMODULES": loaded})
    assert "module spider" in fault.value.remedy


def test_a_machine_without_modules_loads_none() -> None:
    with pytest.raises(UserError, match=r"module load 2024r1 cuda/12\.5: failed, loaded are: none"):
        check_modules({WANTED: "2024r1 cuda/12.5"})
