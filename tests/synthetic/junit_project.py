"""Compiles records with one javac call and runs their tests in one JVM."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from assertkd.records import MARKER, Record

JARS = Path("/usr/share/java")


def junit_classpath() -> str | None:
    """Return the classpath of JUnit 4 and hamcrest, or None where either is missing."""
    given = os.environ.get("ASSERTKD_JUNIT_CLASSPATH")
    if given:
        return given
    hamcrest = sorted(JARS.glob("hamcrest*.jar"))
    junit = JARS / "junit4.jar"
    return os.pathsep.join(map(str, [junit, *hamcrest])) if junit.is_file() and hamcrest else None


def reason_to_skip() -> str | None:
    """Return why Java cannot be run here, or None where it can."""
    if shutil.which("javac") is None or shutil.which("java") is None:
        return "no JDK (javac and java) on the PATH"
    if junit_classpath() is None:
        return f"no JUnit 4 and hamcrest jars in {JARS}; set ASSERTKD_JUNIT_CLASSPATH"
    return None


def package_of(record: Record) -> str:
    """Return the package that the record's classes are in."""
    return record.extra["class_source"].partition(";")[0].removeprefix("package ")


def failing_packages(records: list[tuple[Record, str]], folder: Path) -> set[str]:
    """Run each record's test with the given assertion in its gap; return the packages of the tests that fail.

    Raises:
        AssertionError: the sources do not compile, or JUnit did not run every test.
    """
    sources: list[str] = []
    for record, assertion in records:
        package = folder / "source" / package_of(record).replace(".", "/")
        package.mkdir(parents=True)
        test_source = record.extra["test_source"].replace(MARKER, assertion)
        for name, source in (("class_name", record.extra["class_source"]), ("test_class_name", test_source)):
            path = package / f"{record.extra[name]}.java"
            path.write_text(source, encoding="utf-8")
            sources.append(str(path))
    (folder / "sources.txt").write_text("\n".join(sources), encoding="utf-8")
    classpath = f"{junit_classpath()}{os.pathsep}{folder / 'classes'}"
    javac = ["javac", "-encoding", "UTF-8", "-proc:none", "-nowarn", "-cp", classpath, "-d", str(folder / "classes")]
    compiled = subprocess.run([*javac, f"@{folder / 'sources.txt'}"], capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr[-3000:]
    tests = [f"{package_of(record)}.{record.extra['test_class_name']}" for record, _ in records]
    run = subprocess.run(
        ["java", "-cp", classpath, "org.junit.runner.JUnitCore", *tests], capture_output=True, text=True, check=False
    )
    count = re.search(r"^OK \((\d+) tests?\)|^Tests run: (\d+)", run.stdout, re.MULTILINE)
    assert count is not None, run.stdout[-3000:] + run.stderr[-3000:]
    assert int(count[1] or count[2]) == len(records), run.stdout[-3000:]
    return set(re.findall(r"^\d+\) \w+\(([\w.]+)\.\w+\)$", run.stdout, re.MULTILINE))
