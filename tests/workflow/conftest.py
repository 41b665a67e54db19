"""A project folder of its own for every test, and a finished tiny run that tests may copy and edit."""

import shutil
from pathlib import Path

import pytest
from driver import PROJECT, TERMINAL, Project
from filelock import FileLock


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a fresh copy of the project without results."""
    return Project.copied_to(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """Return a project whose tiny run is done. Tests must not change it; they take `edited`."""
    folder = tmp_path_factory.mktemp("finished") / "project"
    if worker_id == "master":
        return _run(folder)
    # Of several processes that run tests, the first that needs it makes it and the others copy it.
    made = tmp_path_factory.getbasetemp().parent / "finished"
    with FileLock(f"{made}.lock"):
        if not made.exists():
            _run(folder).folder.rename(made)
    shutil.copytree(made, folder, symlinks=True)
    return Project(folder)


def _run(folder: Path) -> Project:
    project = Project.copied_to(folder)
    done = project.snakemake("--profile", "profiles/local")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / TERMINAL).write_text(done.stderr + done.stdout, encoding="utf-8")
    return project


@pytest.fixture
def edited(finished: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project, file times kept, for a test to edit."""
    shutil.copytree(finished.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


__all__ = ["PROJECT"]
