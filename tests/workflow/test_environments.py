"""What is imported is a direct dependency, the lock pins every one, and conda pins what the lock pins."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from driver import PROJECT

# Used without an import: torch needs tensorboard, transformers sentencepiece, pytest xdist; the rest are commands.
NOT_IMPORTED = {"tensorboard", "sentencepiece", "pytest-xdist", "ruff", "mypy", "import-linter", "snakefmt"}
NOT_IMPORTED |= {"types-pyyaml", "types-psutil", "pandas-stubs"}
# Imported from a package that another direct dependency is made of: its own name is no dependency of ours.
PART_OF = {"pydantic-core": "pydantic", "markupsafe": "jinja2", "snakemake-interface-executor-plugins": "snakemake"}
# Writes a reference file by hand, with a package that no test needs.
BY_HAND = "make_codebleu_reference.py"


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> dict[str, str]:
    """Return package to version of the lines that pin one."""
    return {normalised(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def imported_modules(*folders: str) -> set[str]:
    """Return the top-level modules that the Python files below `folders` import."""

    def names(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
                yield node.module

    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*.py") if path.name != BY_HAND]
    return {name.partition(".")[0] for path in paths for name in names(path)}


def distributions_of(modules: set[str]) -> set[str]:
    """Return the distributions that install `modules`, each as the direct dependency that it belongs to."""
    installed = packages_distributions()
    own = {path.stem for path in (PROJECT / "tests").rglob("*.py")} | {
        path.stem for path in PROJECT.glob("benchmarks/*.py")
    }
    third_party = {name for name in modules if name not in sys.stdlib_module_names and name not in own}
    found = {normalised(installed[name][0]) for name in third_party if name != "assertkd"}
    return {PART_OF.get(name, name) for name in found}


@pytest.fixture(scope="module")
def locked() -> dict[str, str]:
    return pins((PROJECT / "requirements.lock").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.fixture(scope="module")
def running(project: dict[str, list[str]]) -> set[str]:
    """The direct dependencies of running."""
    return {normalised(name) for name in project["dependencies"]}


@pytest.fixture(scope="module")
def development(project: dict[str, dict[str, list[str]]]) -> set[str]:
    """The direct dependencies of tests and linters."""
    return {normalised(name) for name in project["optional-dependencies"]["dev"]}


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
