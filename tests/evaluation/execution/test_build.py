"""The class path that a project's own build names: Maven's and Gradle's answers, and what is said where they fail."""

import stat
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.execution.build import class_path_of


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one folder on the PATH, beside the system's shell."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(folder / name) if (folder / name).exists() else None)
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a compiled project of two modules, and a jar beside them."""
    root = tmp_path / "project"
    for module in ("one", "two"):
        for folder in ("classes", "test-classes"):
            (root / module / "target" / folder).mkdir(parents=True)
        (root / module / "pom.xml").touch()
    (root / "pom.xml").touch()
    (tmp_path / "a.jar").touch()
    return root


def test_maven_is_asked_without_network_and_all_modules_count(project: Path, programs: Path) -> None:
    jar = project.parent / "a.jar"
    program(
        programs / "mvn",
        f'echo "$@" > {project}/asked\nfor module in 1 2; do\necho "[INFO] Dependencies classpath:"\n'
        f"echo {jar}:/gone.jar\ndone",
    )
    targets = [project / module / "target" / name for module in ("one", "two") for name in ("test-classes", "classes")]
    assert class_path_of(project) == [*targets, jar]
    asked = (project / "asked").read_text(encoding="utf-8").split()
    assert "-o" in asked
    assert "dependency:build-classpath" in asked


def test_gradle_is_asked_without_network(project: Path, programs: Path) -> None:
    (project / "pom.xml").unlink()
    (project / "build.gradle.kts").touch()
    classes, jar = project / "one/target/classes", project.parent / "a.jar"
    program(
        programs / "gradle",
        f'echo "$@" > {project}/asked\ncat "$4" > {project}/script\n'
        f'echo "assertkd class path: {classes}"\necho "assertkd class path: {jar}"\necho other',
    )
    assert class_path_of(project) == [classes, jar]
    assert "--offline" in (project / "asked").read_text(encoding="utf-8").split()
    assert "sourceSets.test.runtimeClasspath" in (project / "script").read_text(encoding="utf-8")


def test_a_wrapper_serves_where_the_tool_is_not_installed(project: Path, programs: Path) -> None:
    with pytest.raises(UserError, match="mvn is needed to find its class path, and was not found") as fault:
        class_path_of(project)
    assert "Install mvn" in fault.value.remedy
    program(project / "mvnw", "echo 'Dependencies classpath:'\necho")
    assert len(class_path_of(project)) == 4


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo '[ERROR] Could not resolve x:y:1'; echo last; exit 1", "failed: Could not resolve x:y:1"),
        ("echo 'No plugin found'; exit 1", "failed: No plugin found"),
        ("exit 3", "failed: exit status 3"),
    ],
)  # fmt: skip
def test_a_build_that_fails_is_said_in_a_sentence(project: Path, programs: Path, script: str, problem: str) -> None:
    program(programs / "mvn", script)
    with pytest.raises(UserError) as fault:
        class_path_of(project)
    assert problem in fault.value.problem
    assert "dependency:build-classpath" in fault.value.problem
    assert "Build the project and its tests first" in fault.value.remedy


def test_what_is_not_built_or_no_project_is_said(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(UserError, match=r"holds no pom\.xml and no build\.gradle"):
        class_path_of(tmp_path)
    (tmp_path / "pom.xml").touch()
    program(programs / "mvn", "echo 'Dependencies classpath:'\necho")
    with pytest.raises(UserError, match="holds no compiled classes"):
        class_path_of(tmp_path)
