"""Where the JDK and the test frameworks are on this machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.execution.frameworks import JARS, debian_jars

OLDEST = 11
"""Oldest JDK that will do."""


class ToolMissingError(Exception):
    """The machine lacks what running Java needs; the message is the sentence that says what."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What compiling and running tests takes.

    Attributes:
        java: the `java` program of a JDK.
        version: the JDK's feature release, as 17.
        junit: the jars of JUnit 4, JUnit 5 and TestNG, of those that are there.
    """

    java: Path
    version: int
    junit: tuple[Path, ...]


def find_toolchain(jdk_home: str | None = None, junit: Sequence[str] = ()) -> Toolchain:
    """Return the JDK and frameworks that are named, or else those that this machine has.

    Args:
        jdk_home: the JDK's folder; None for `JAVA_HOME`, or else the one whose `javac` is on the PATH.
        junit: jars of JUnit 4, JUnit 5 (with engine and launcher) or TestNG; none for Debian's.

    Raises:
        UserError: one that is named is not there.
        ToolMissingError: none is named, and the machine has none.
    """
    javac = shutil.which("javac")
    here = [os.environ.get("JAVA_HOME"), Path(javac).resolve().parents[1] if javac else None]
    homes = [Path(home) for home in ([jdk_home] if jdk_home else here) if home]
    home, version = next(((home, found) for home in homes if (found := _version(home)) >= OLDEST), (None, 0))
    if home is None and jdk_home:
        raise UserError(
            f"evaluation.execute.jdk_home: {jdk_home}: holds no JDK of version {OLDEST} or newer",
            "Name a folder with bin/java and bin/javac.",
        )
    if home is None:
        raise ToolMissingError(
            f"no JDK of version {OLDEST} or newer was found (Debian: apt-get install default-jdk-headless)"
        )
    jars = tuple(Path(jar).resolve() for jar in junit)
    for jar in jars:
        if not jar.exists():
            raise UserError(f"evaluation.execute.junit: {jar}: no such file", "Name the jars of JUnit or TestNG.")
    jars = jars or debian_jars(JARS)
    if not jars:
        raise ToolMissingError(f"no JUnit was found in {JARS} (Debian: apt-get install junit4, or junit5 or testng)")
    return Toolchain(home.resolve() / "bin" / "java", version, jars)


def _version(home: Path) -> int:
    """Return the feature release of the JDK in a folder; 0 where there is none."""
    javac = home / "bin" / "javac"
    if not javac.is_file() or not (home / "bin" / "java").is_file():
        return 0
    try:
        answer = subprocess.run([javac, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"javac (?:1\.)?(\d+)", answer.stdout + answer.stderr)
    return int(match[1]) if match else 0
