"""Finding JDK and JUnit: what is named counts, what is missing is said."""

import stat
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.execution import jdk
from assertkd.evaluation.execution.jdk import ToolMissingError, find_toolchain


def fake_jdk(folder: Path, version: str) -> Path:
    """Make a folder that looks like a JDK."""
    (folder / "bin").mkdir(parents=True)
    for name in ("java", "javac"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho javac {version}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands in for that of Debian's jars, without any; no JDK is on the PATH."""
    folder = tmp_path / "jars"
    folder.mkdir()
    monkeypatch.setattr(jdk, "JARS", folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


@pytest.mark.parametrize(("said", "version"), [("11.0.2", 11), ("17.0.15", 17), ("25", 25), ("21-ea", 21)])
def test_versions_are_read(tmp_path: Path, jars: Path, said: str, version: int) -> None:
    for name in ("junit4.jar", "hamcrest.jar"):
        (jars / name).touch()
    found = find_toolchain(str(fake_jdk(tmp_path / "jdk", said)))
    assert (found.version, found.java) == (version, tmp_path / "jdk/bin/java")
    assert found.junit == (jars / "junit4.jar", jars / "hamcrest.jar")


@pytest.mark.parametrize("said", ["1.8.0_392", "10.0.2", "nonsense"])
def test_a_named_jdk_has_to_be_new_enough(tmp_path: Path, jars: Path, said: str) -> None:
    with pytest.raises(UserError, match=r"jdk_home: .*holds no JDK of version 11"):
        find_toolchain(str(fake_jdk(tmp_path / "jdk", said)))


def test_java_home_and_then_the_path_are_looked_at(tmp_path: Path, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = jars / "mine.jar"
    jar.touch()
    monkeypatch.setenv("PATH", str(fake_jdk(tmp_path / "on_path", "17") / "bin"))
    assert find_toolchain(junit=[str(jar)]).version == 17
    monkeypatch.setenv("JAVA_HOME", str(fake_jdk(tmp_path / "home", "21")))
    assert find_toolchain(junit=[str(jar)]).version == 21
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert find_toolchain(junit=[str(jar)]).version == 17, "a JAVA_HOME that is no JDK does not hide another"


def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, jars: Path) -> None:
    with pytest.raises(ToolMissingError, match="no JDK of version 11 or newer was found"):
        find_toolchain()
    with pytest.raises(ToolMissingError, match="no JUnit was found"):
        find_toolchain(str(fake_jdk(tmp_path / "jdk", "17")))
    with pytest.raises(UserError, match=r"junit: .*gone\.jar: no such file"):
        find_toolchain(str(tmp_path / "jdk"), ["gone.jar"])
