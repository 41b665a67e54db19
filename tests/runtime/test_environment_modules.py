"""Jobs that load environment modules say so when that failed."""

import pytest

from assertkd.errors import UserError
from assertkd.runtime.job import WANTED_MODULES, check_modules


def test_loaded_modules_are_enough_whatever_else_is_loaded() -> None:
    check_modules({WANTED_MODULES: "2024r1 cuda/12.5", "LOADEDMODULES": "slurm:2024r1:openssl/3.2:cuda/12.5"})
    check_modules({WANTED_MODULES: "cuda", "LOADEDMODULES": "cuda/12.5"})
    check_modules({"LOADEDMODULES": "slurm"})
    check_modules({})


@pytest.mark.parametrize("loaded", ["slurm:2024r1", "2024r1:cuda/12.50", "2024r1:cuda"])
def test_a_module_that_is_not_loaded_is_named(loaded: str) -> None:
    with pytest.raises(UserError, match=r"module load cuda/12\.5: failed, loaded are: ") as fault:
        check_modules({WANTED_MODULES: "2024r1 cuda/12.5", "LOADEDMODULES": loaded})
    assert "module spider" in fault.value.remedy


def test_a_machine_without_modules_loads_none() -> None:
    with pytest.raises(UserError, match=r"module load 2024r1 cuda/12\.5: failed, loaded are: none"):
        check_modules({WANTED_MODULES: "2024r1 cuda/12.5"})
