"""Test frameworks: which jars run them, and the programs here that drive them."""

import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

JARS = Path("/usr/share/java")
"""Where Debian's packages put jars."""

PROGRAMS = Path(__file__).parent / "java"
PACKAGE = "assertkd"
"""That of the programs."""

RUNNER = ("Runner.java", "Framework.java", "ConcreteClasses.java")
"""What runs tests, whatever their framework."""


@dataclass(frozen=True, slots=True)
class Framework:
    """A test framework.

    Attributes:
        package: Debian's package of it.
        program: what drives it, in `PROGRAMS`.
        key: the class that the program needs.
        jars: names of Debian's jars, without `.jar`; alternatives have a `|` between them.
    """

    package: str
    program: str
    key: str
    jars: tuple[str, ...]


FRAMEWORKS = (
    # JUnit 4 needs hamcrest-core; newer packages have one jar `hamcrest`, to which the old name is a link.
    Framework("junit4", "JUnit4Tests.java", "org/junit/runner/JUnitCore.class", ("junit4", "hamcrest|hamcrest-core")),
    Framework(
        "junit5",
        "JUnitPlatformTests.java",
        "org/junit/platform/launcher/Launcher.class",
        (
            *(f"junit-jupiter-{part}" for part in ("api", "params", "engine")),
            *(f"junit-platform-{part}" for part in ("commons", "engine", "launcher")),
            *("opentest4j", "apiguardian-api", "univocity-parsers"),
        ),
    ),
    Framework("testng", "TestNGTests.java", "org/testng/TestNG.class", ("testng", "jcommander", "bsh")),
)

LIBRARIES = (
    "org/junit/runner/JUnitCore.class",
    "org/hamcrest/Matcher.class",
    "org/junit/jupiter/api/Test.class",
    "org/junit/jupiter/params/ParameterizedTest.class",
    "org/junit/jupiter/engine/JupiterTestEngine.class",
    "org/junit/platform/commons/JUnitException.class",
    "org/junit/platform/engine/TestEngine.class",
    "org/junit/platform/launcher/Launcher.class",
    "org/opentest4j/AssertionFailedError.class",
    "org/apiguardian/api/API.class",
    "com/univocity/parsers/csv/CsvParser.class",
    "org/testng/TestNG.class",
    "com/beust/jcommander/JCommander.class",
    "bsh/Interpreter.class",
)
"""A class of each library that frameworks consist of or need."""

WARMUPS = {
    "org/junit/jupiter/api/Test.class": "org.junit.jupiter.api.Test",
    "org/testng/TestNG.class": "org.testng.annotations.Test",
    "org/junit/runner/JUnitCore.class": "org.junit.Test",
}
"""A class of each framework to its annotation of a test; the last one's tests may be without."""

MATCHING = {
    "junit-platform-engine": "junit-platform-commons",
    "junit-platform-launcher": "junit-platform-commons",
    "junit-jupiter-engine": "junit-jupiter-api",
}
"""Jars that have to have the version of another, and that a build adds itself."""


def debian_jars(folder: Path) -> tuple[Path, ...]:
    """Return the jars of those frameworks that are whole in Debian's folder."""
    found: list[Path] = []
    for framework in FRAMEWORKS:
        jars = [
            next((jar for name in names.split("|") if (jar := folder / f"{name}.jar").is_file()), None)
            for names in framework.jars
        ]
        if None not in jars:
            found += [jar for jar in jars if jar is not None]
    return tuple(found)


def split_class_path(class_path: Sequence[Path], jars: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the jars that run tests, and what is left of a project's class path.

    A library of a framework that the class path has is taken from there, because tests are written for its version;
    `jars` add only what it lacks. What a build adds to a class path itself, as JUnit 5's launcher, is looked for first
    in the repository of Maven or Gradle that the jar of the same version lies in.

    Args:
        class_path: of the project's tests.
        jars: of frameworks.
    """
    libraries: list[Path] = []
    left: list[Path] = []
    found: set[str] = set()
    for entry in class_path:
        held = _libraries_in(entry) if entry.is_file() else set()
        (libraries if held else left).append(entry)
        found |= held
    for jar in (*_siblings(libraries), *jars):
        held = _libraries_in(jar)
        if not held or not held <= found:
            libraries.append(jar)
            found |= held
    return libraries, left


def programs(libraries: Sequence[Path]) -> dict[str, str]:
    """Return the sources of what runs tests with these jars, by their names."""
    held = {key for jar in libraries for key in _libraries_in(jar)}
    names = (*RUNNER, *(one.program for one in FRAMEWORKS if one.key in held))
    sources = {f"{PACKAGE}/{name}": (PROGRAMS / name).read_text(encoding="utf-8") for name in names}
    warmups = {annotation: _warmup(annotation) for key, annotation in WARMUPS.items() if key in held}
    return sources | {
        f"{PACKAGE}/{name}.java": f"package {PACKAGE}; public class {name} {{ @{annotation} public void test() {{ }} }}"
        for annotation, name in warmups.items()
    }


def warmup_of(test: bytes) -> str:
    """Return the class whose method `test` loads the framework of a compiled test, and does nothing."""
    packages = {annotation: annotation.rpartition(".")[0].replace(".", "/").encode() for annotation in WARMUPS.values()}
    named = [annotation for annotation, package in packages.items() if b"L" + package + b"/" in test]
    return f"{PACKAGE}.{_warmup((named or list(packages))[0 if named else -1])}"


def _warmup(annotation: str) -> str:
    return f"Warmup_{annotation.replace('.', '_')}"


def packages_of(jars: Sequence[Path]) -> set[str]:
    """Return the folders of the classes in jars, as `org/junit`, and the one of the programs here."""
    folders = {name.rpartition("/")[0] for jar in jars for name in _names_in(jar) if name.endswith(".class")}
    return folders - {""} | {PACKAGE}


def with_linked(class_path: Iterable[Path]) -> list[Path]:
    """Return files and folders, and those that the manifests of jars among them name as their own class path."""
    found = dict.fromkeys(class_path)
    waiting = list(found)
    while waiting:
        for path in _linked_by(waiting.pop()):
            if path not in found and path.exists():
                found[path] = None
                waiting.append(path)
    return list(found)


def _linked_by(jar: Path) -> Iterator[Path]:
    try:
        with zipfile.ZipFile(jar) as archive:
            manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", errors="replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return
    # A long line goes on in the next, behind a blank.
    for line in re.sub(r"\r?\n ", "", manifest).splitlines():
        if line.lower().startswith("class-path:"):
            for entry in line.partition(":")[2].split():
                yield Path(os.path.normpath(jar.parent / unquote(entry.removeprefix("file:"))))


def _libraries_in(jar: Path) -> set[str]:
    return _names_in(jar).intersection(LIBRARIES)


def _names_in(jar: Path) -> set[str]:
    try:
        with zipfile.ZipFile(jar) as archive:
            return set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return set()


def _siblings(jars: Sequence[Path]) -> Iterator[Path]:
    for jar in jars:
        for name, other in MATCHING.items():
            version = jar.stem.removeprefix(f"{other}-")
            if version != jar.stem:
                # …/junit-jupiter-api/5.10.2/x.jar in Maven's repository, …/5.10.2/<checksum>/x.jar in Gradle's.
                file = f"{name}-{version}.jar"
                yield from (jar.parents[2] / name / version).glob(file)
                yield from list((jar.parents[3] / name / version).glob(f"*/{file}"))[:1]
