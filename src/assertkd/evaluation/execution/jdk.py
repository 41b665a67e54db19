"""Where the JDK and JUnit are on this machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.errors import UserError

OLDEST = 11
"""Oldest JDK that will do."""

JARS = Path("/usr/share/java")
"""Where Debian's packages put jars."""

ABSENT_JDK = f"no JDK of version {OLDEST} or newer was found (Debian: apt-get install default-jdk-headless)"
ABSENT_JUNIT = f"no JUnit 4 was found in {JARS} (Debian: apt-get install junit4)"


class ToolMissingError(Exception):
    """The machine lacks what running Java needs; the message is the sentence that says what."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What compiling and running tests takes.

    Attributes:
        java: the `java` program of a JDK.
        version: the JDK's feature release, as 17.
        junit: the jars of JUnit.
    """

    java: Path
    version: int
    junit: tuple[Path, ...]


def find_toolchain(jdk_home: str | None = None, junit: Sequence[str] = ()) -> Toolchain:
    """Return the JDK and JUnit that are named, or else those that this machine has.

    Args:
        jdk_home: the JDK's folder; None for `JAVA_HOME`, or else the one whose `javac` is on the PATH.
        junit: JUnit's jars and what they need; none for Debian's.

    Raises:
        UserError: one that is named is not there.
        ToolMissingError: none is named, and the machine has none.
    """
    java, version = _jdk_in(Path(jdk_home)) if jdk_home else _jdk_here()
    jars = tuple(Path(jar).resolve() for jar in junit)
    for jar in jars:
        if not jar.exists():
            raise UserError(f"evaluation.execute.junit: {jar}: no such file", "Name the jars of JUnit 4.")
    return Toolchain(java, version, jars or _debian_junit())


def _jdk_in(home: Path) -> tuple[Path, int]:
    java, version = home.resolve() / "bin" / "java", _version(home)
    if version is None or version < OLDEST:
        raise UserError(
            f"evaluation.execute.jdk_home: {home}: holds no JDK of version {OLDEST} or newer",
            "Name a folder with bin/java and bin/javac.",
        )
    return java, version


def _jdk_here() -> tuple[Path, int]:
    javac = shutil.which("javac")
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    homes += [Path(javac).resolve().parents[1]] if javac else []
    for home in homes:
        version = _version(home)
        if version is not None and version >= OLDEST:
            return home.resolve() / "bin" / "java", version
    raise ToolMissingError(ABSENT_JDK)


def _version(home: Path) -> int | None:
    """Return the feature release of the JDK in a folder; None where there is none."""
    javac = home / "bin" / "javac"
    if not javac.is_file() or not (home / "bin" / "java").is_file():
        return None
    try:
        answer = subprocess.run([javac, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"javac (?:1\.)?(\d+)", answer.stdout + answer.stderr)
    return int(match[1]) if match else None


def _debian_junit() -> tuple[Path, ...]:
    junit = JARS / "junit4.jar"
    # JUnit 4 needs hamcrest-core; newer packages have one jar `hamcrest`, to which the old name is a link.
    hamcrest = next((jar for name in ("hamcrest.jar", "hamcrest-core.jar") if (jar := JARS / name).is_file()), None)
    if not junit.is_file() or hamcrest is None:
        raise ToolMissingError(ABSENT_JUNIT)
    return junit, hamcrest
