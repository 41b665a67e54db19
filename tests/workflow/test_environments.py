"""What is imported is a direct dependency, the locks hold every one with hashes, and make finds a Python for them."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from driver import PROJECT, Project

from preloaded import ENVIRONMENT

# Used without an import: torch needs tensorboard, transformers sentencepiece, pytest xdist; the rest are commands.
NOT_IMPORTED = {"tensorboard", "sentencepiece", "gguf", "pytest-xdist", "ruff", "mypy", "import-linter", "snakefmt"}
NOT_IMPORTED |= {"types-pyyaml", "types-psutil", "pandas-stubs"}
# Imported from a package that another direct dependency is made of: its own name is no dependency of ours.
PART_OF = {"pydantic-core": "pydantic", "markupsafe": "jinja2", "snakemake-interface-executor-plugins": "snakemake"}
LOCKS = ("requirements.lock", "requirements-torch.lock", "requirements-torch-cpu.lock")
# Writes a reference file by hand, with a package that no test needs.
BY_HAND = "make_codebleu_reference.py"


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    """Return package to version of the lines that pin one."""
    split = (line.partition("==") for line in lines)
    return {normalised(name): version.split()[0] for name, _, version in split if version}


def pins_of(lock: str) -> dict[str, str]:
    return pins((PROJECT / lock).read_text(encoding="utf-8").splitlines())


def names(requirements: list[str]) -> set[str]:
    """Return the packages that requirements name, each of which has a lower bound."""
    return {normalised(requirement.split(">=")[0]) for requirement in requirements}


def imported_modules(*folders: str) -> set[str]:
    """Return the top-level modules that the Python files below `folders` import."""

    def modules(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
                yield node.module

    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*.py") if path.name != BY_HAND]
    return {name.partition(".")[0] for path in paths for name in modules(path)}


def distributions_of(modules: set[str]) -> set[str]:
    """Return the distributions that install `modules`, each as the direct dependency that it belongs to."""
    installed = packages_distributions()
    benchmarks = {path.stem for path in PROJECT.glob("benchmarks/*") if path.is_dir() or path.suffix == ".py"}
    own = {path.stem for path in (PROJECT / "tests").rglob("*.py")} | benchmarks
    third_party = {name for name in modules if name not in sys.stdlib_module_names and name not in own}
    found = {normalised(installed[name][0]) for name in third_party if name != "assertkd"}
    return {PART_OF.get(name, name) for name in found}


@pytest.fixture(scope="module")
def locked() -> dict[str, str]:
    """The versions of all locked packages, torch as PyPI has it."""
    return pins_of("requirements.lock") | pins_of("requirements-torch.lock")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.fixture(scope="module")
def running(project: dict[str, list[str]]) -> set[str]:
    """The direct dependencies of running."""
    return names(project["dependencies"])


@pytest.fixture(scope="module")
def development(project: dict[str, dict[str, list[str]]]) -> set[str]:
    """The direct dependencies of tests and linters."""
    return names(project["optional-dependencies"]["dev"])


def test_running_imports_what_the_project_depends_on_and_nothing_else(running: set[str]) -> None:
    assert distributions_of(imported_modules("src", "workflow")) == running - NOT_IMPORTED


def test_tests_import_what_running_or_development_depends_on(running: set[str], development: set[str]) -> None:
    imported = distributions_of(imported_modules("tests", "benchmarks"))
    assert imported <= running | development
    assert development - NOT_IMPORTED <= imported
    assert not running & development


def test_the_lock_pins_every_direct_dependency(
    locked: dict[str, str], running: set[str], development: set[str]
) -> None:
    assert running | development <= set(locked)


def test_every_direct_dependency_has_a_lower_bound(project: dict[str, Any]) -> None:
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        assert re.fullmatch(r"[\w.-]+>=[\d.]+(; sys_platform == 'linux')?", requirement), requirement


def test_what_the_lock_installs_is_whole_and_within_the_bounds() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(lock: str) -> None:
    _, *packages = re.split(r"^(?=[a-z])", (PROJECT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert packages
    for package in packages:
        assert re.fullmatch(r"[\w.-]+==[^\n]+ \\\n( {4}--hash=sha256:[0-9a-f]{64}( \\)?\n)+", package), package


def test_torch_is_locked_in_one_version_for_the_cpu_and_for_cuda() -> None:
    everything, pypi, cpu = (pins_of(lock) for lock in LOCKS)
    assert "torch" not in everything
    assert cpu == {"torch": pypi["torch"] + "+cpu"}
    assert not set(everything) & set(pypi)


@pytest.mark.parametrize("path", sorted((PROJECT / "workflow" / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_conda_environment_pins_what_the_lock_pins(path: Path, locked: dict[str, str], running: set[str]) -> None:
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    (by_pip,) = [one["pip"] for one in dependencies if isinstance(one, dict)]
    pinned = pins(by_pip)
    assert set(pinned) == running
    assert pinned == {name: locked[name] for name in running}
    assert by_pip[-1] == "-e ../.."


def test_every_rule_with_a_script_has_an_environment() -> None:
    environments = {path.name for path in (PROJECT / "workflow" / "envs").glob("*.yaml")}
    for path in (PROJECT / "workflow" / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        chosen = re.findall(r'^    conda:\n        "\.\./envs/(.*)"$', text, flags=re.MULTILINE)
        assert len(chosen) == len(re.findall(r"^    script:$", text, flags=re.MULTILINE)), path.name
        assert set(chosen) <= environments, path.name


class Machine:
    """A folder with the Makefile alone, on a machine that has the commands of `bin` and no others."""

    def __init__(self, folder: Path) -> None:
        self.bin, self._project = folder / "bin", folder / "project"
        self.bin.mkdir()
        self._project.mkdir()
        for name in ("Makefile", "pyproject.toml", *LOCKS):
            shutil.copy2(PROJECT / name, self._project)

    def add_python(self, command: str, version: tuple[int, int]) -> None:
        """Add a command that says it is Python of that version."""
        program = f"import sys; sys.version_info = {(*version, 0)}; exec(sys.argv[1])"
        script = f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$2"\n'
        (self.bin / command).write_text(script, encoding="utf-8")
        (self.bin / command).chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        make = shutil.which("make")
        assert make is not None
        return subprocess.run(
            [make, *arguments], cwd=self._project, env={"PATH": str(self.bin)}, capture_output=True, text=True
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": (3, 12)}, "python3"),
        ({"python3.13": (3, 13), "python3.11": (3, 11), "python3": (3, 11)}, "python3.11"),
        ({"python3": (3, 10), "python3.13": (3, 13)}, "python3.13"),
    ],
)
def test_make_finds_a_python_that_is_supported(
    machine: Machine, pythons: dict[str, tuple[int, int]], chosen: str
) -> None:
    for command, version in pythons.items():
        machine.add_python(command, version)
    assert f"\n{chosen} -m venv .venv\n" in machine.make("--dry-run", "venv").stdout


@pytest.mark.parametrize("named", [(), ("PYTHON=python3",)], ids=["found", "named"])
def test_make_says_which_python_it_needs_where_there_is_none(machine: Machine, named: tuple[str, ...]) -> None:
    machine.add_python("python3", (3, 10))
    machine.add_python("python3.11", (3, 14))
    done = machine.make("run", *named)
    assert done.returncode != 0
    assert done.stderr.splitlines()[:2] == [
        f"Error: {'python3' if named else 'PATH'}: no Python 3.11, 3.12 or 3.13 with its module venv",
        "Install one, or name it: make run PYTHON=/path/to/python3.11",
    ]


def test_an_environment_in_a_folder_with_blanks_runs_jobs_in_that_folder_alone(tmp_path: Path) -> None:
    project = Project.copied_to(tmp_path / "a blank, $HOME, 'quotes' and ü")
    environment = project.folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "these.pth").write_text("\n".join(path for path in sys.path if path), encoding="utf-8")
    python = environment / "bin" / "python"
    arguments = ["-m", "snakemake", "--profile", "profiles/local", "--configfile", "tiny.yaml", "--"]
    command = [str(python), *arguments, "results/tiny/corpus/quality.json"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, env=os.environ | ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.folder / "results/tiny/corpus/quality.json").is_file()
    other = Project.copied_to(tmp_path / "other")
    done = subprocess.run(command, cwd=other.folder, capture_output=True, text=True, env=os.environ | ENVIRONMENT)
    assert done.returncode == 1
    assert f"{python}: Snakemake cannot start jobs with a Python whose path has blanks" in done.stderr
    assert f"Make the environment in {other.folder} itself (make venv)" in done.stderr
