"""The examples of CONTRIBUTING: applied to a copy of the package, they are whole, run, and do what the page says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from preloaded import python

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def apply(diff: str, text: str) -> str:
    """Return `text` with a diff applied, whose hunks are separated by `@@` and come in the file's order.

    Raises:
        AssertionError: a hunk's lines are not in the text, or not after those of the hunk before.
    """
    place = 0
    for hunk in diff.split("@@\n"):
        lines = [(line[:1] or " ", line[1:] + "\n") for line in hunk.splitlines()]
        before = "".join(line for sign, line in lines if sign in " -")
        after = "".join(line for sign, line in lines if sign in " +")
        start = text.find(before, place)
        assert start >= 0, f"not in the file:\n{before}"
        assert start == 0 or text[start - 1] == "\n", f"not at the beginning of a line:\n{before}"
        text = text[:start] + after + text[start + len(before) :]
        place = start + len(after)
    return text


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all examples of the page."""
    folder = tmp_path_factory.mktemp("contributing")
    for name in ("src", "workflow", "profiles"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "config.yaml", "pyproject.toml"):
        shutil.copy2(PROJECT / name, folder / name)
    for kind, name, code in BLOCK.findall(PAGE):
        path = folder / name
        if kind == "python":
            assert not path.exists(), f"{name}: exists already"
            path.write_text(code, encoding="utf-8")
        else:
            path.write_text(apply(code, path.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def run(folder: Path, *command: str, where: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [python(()), "-m", *command], cwd=where, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_examples_do_what_the_page_says(applied: Path) -> None:
    file = "tests/training/contributing_examples.py"
    done = run(applied, "pytest", "-q", "-p", "no:cacheprovider", file, where=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_the_examples_pass_the_linter(applied: Path) -> None:
    # As it imports, the page leaves the order to the linter.
    files = [name for kind, name, _ in BLOCK.findall(PAGE) if kind == "python" and name.endswith(".py")]
    done = run(applied, "ruff", "check", "--quiet", *files, where=applied)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_a_rule_is_planned_with_what_it_needs(applied: Path) -> None:
    target = "results/demo/corpus/projects.json"
    done = run(applied, "snakemake", target, "--profile", "profiles/local", "--dry-run", where=applied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "count_projects" in done.stdout + done.stderr
    assert "prepare_corpus" in done.stdout + done.stderr
