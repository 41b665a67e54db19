"""Tests of JUnit 4, JUnit 5 and TestNG, run by their own launchers; a runner's complaint is no failing assertion."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.frameworks import debian_jars, split_class_path
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import FAILED, NOT_RUN, PASSED, Runner, TestOutcome

JUNIT4 = (
    "import org.junit.*; import org.junit.runner.RunWith; import org.junit.runners.*; import static org.junit.Assert.*;"
)
JUNIT5 = (
    "import org.junit.jupiter.api.*; import org.junit.jupiter.params.*; import org.junit.jupiter.params.provider.*; "
    "import static org.junit.jupiter.api.Assertions.*;"
)
TESTNG = "import org.testng.annotations.*; import static org.testng.Assert.*;"

CASES: dict[str, tuple[str, str, str, str]] = {
    "4": (
        JUNIT4,
        "public class T { @Test public void t() { } @Test public void u() { fail(); } }",
        "T",
        PASSED,
    ),
    "4 fails": (
        JUNIT4,
        "public class T { @Test public void t() { assertEquals(1, 2); } }",
        "T",
        FAILED,
    ),
    "4 assumption": (
        JUNIT4,
        "public class T { @Test public void t() { Assume.assumeTrue(false); } }",
        "T",
        FAILED,
    ),
    "4 parameters": (
        JUNIT4,
        '@RunWith(Parameterized.class) public class T { @Parameterized.Parameters(name = "{index}: {0}") '
        "public static Object[] data() { return new Object[] {1, 2}; } int n; public T(int n) { this.n = n; }"
        " @Test public void t() { assertTrue(n < 3); } @Test public void tOther() { fail(); } }",
        "T",
        PASSED,
    ),
    "4 one of the parameters fails": (
        JUNIT4,
        '@RunWith(Parameterized.class) public class T { @Parameterized.Parameters(name = "{index}: {0}") '
        "public static Object[] data() { return new Object[] {1, 2}; } int n; public T(int n) { this.n = n; }"
        " @Test public void t() { assertTrue(n < 2); } @Test public void tOther() { fail(); } }",
        "T",
        FAILED,
    ),
    "4 base": (
        JUNIT4,
        "public abstract class T { abstract int n(); @Test public void t() { assertTrue(n() < 3); } } class U"
        " extends T { int n() { return 1; } }",
        "T",
        PASSED,
    ),
    "4 public base": (
        JUNIT4,
        "public class Outer { public static abstract class T { abstract int n(); @Test public void t() { "
        "assertTrue(n() < 3); } } public static class U extends T { int n() { return 1; } } public static "
        "class V extends U { } }",
        "Outer$T",
        PASSED,
    ),
    "4 base fails in one": (
        JUNIT4,
        "public class Outer { public static abstract class T { abstract int n(); @Test public void t() { "
        "assertTrue(n() < 3); } } public static class U extends T { int n() { return 1; } } public static "
        "class V extends U { int n() { return 9; } } }",
        "Outer$T",
        FAILED,
    ),
    "4 base without a class": (
        JUNIT4,
        "public abstract class T { abstract int n(); @Test public void t() { assertTrue(n() < 3); } }",
        "T",
        NOT_RUN,
    ),
    "4 inherited": (
        JUNIT4,
        "public class T extends B { } class B { @Test public void t() { fail(); } }",
        "T",
        FAILED,
    ),
    "4 ignored": (
        JUNIT4,
        "public class T { @Ignore @Test public void t() { fail(); } }",
        "T",
        NOT_RUN,
    ),
    "4 refused": (
        JUNIT4,
        "public class T { @Test void t() { } }",
        "T",
        NOT_RUN,
    ),
    "4 set-up of the class": (
        JUNIT4,
        "public class T { @BeforeClass public static void s() { fail(); } @Test public void t() { } }",
        "T",
        NOT_RUN,
    ),
    "3": (
        "",
        "public class T extends junit.framework.TestCase { public void t() { } public void testT() { fail(); } }",
        "T",
        NOT_RUN,
    ),
    "5": (
        JUNIT5,
        "class T { @Test void t() { } @Test void u() { fail(); } }",
        "T",
        PASSED,
    ),
    "5 fails": (
        JUNIT5,
        "class T { @Test void t() { assertEquals(1, 2); } }",
        "T",
        FAILED,
    ),
    "5 assumption": (
        JUNIT5,
        "class T { @Test void t() { Assumptions.assumeTrue(false); } }",
        "T",
        FAILED,
    ),
    "5 parameters": (
        JUNIT5,
        "class T { @ParameterizedTest @ValueSource(ints = {1, 2}) void t(int n) { assertTrue(n < 3); } }",
        "T",
        PASSED,
    ),
    "5 one of the parameters fails": (
        JUNIT5,
        'class T { @ParameterizedTest @CsvSource({"1,1", "2,1"}) void t(int n, int m) { assertEquals(n, m); } }',
        "T",
        FAILED,
    ),
    "5 without parameters": (
        JUNIT5,
        "class T { @ParameterizedTest void t(int n) { } }",
        "T",
        NOT_RUN,
    ),
    "5 unknown parameter": (
        JUNIT5,
        "class T { @Test void t(int n) { } }",
        "T",
        NOT_RUN,
    ),
    "5 nested": (
        JUNIT5,
        "class O { int n; @BeforeEach void s() { n = 1; } @Nested class T { @Test void t() { assertEquals(1, "
        "n); } } @Test void t() { fail(); } }",
        "O$T",
        PASSED,
    ),
    "5 beside nested": (
        JUNIT5,
        "class O { @Nested class T { @Test void t() { fail(); } } @Test void t() { } }",
        "O",
        PASSED,
    ),
    "5 base": (
        JUNIT5,
        "abstract class T { abstract int n(); @Test public void t() { assertTrue(n() < 3); } } class U "
        "extends T { int n() { return 4; } }",
        "T",
        FAILED,
    ),
    "5 interface": (
        JUNIT5,
        "interface T { int n(); @Test default void t() { assertEquals(1, n()); } } class U implements T { "
        "public int n() { return 1; } }",
        "T",
        PASSED,
    ),
    "5 composed": (
        JUNIT5,
        "class T { @Mine void t() { fail(); } } @Test "
        "@java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME) @interface Mine { }",
        "T",
        FAILED,
    ),
    "5 repeated": (
        JUNIT5,
        "class T { static int n; @RepeatedTest(2) void t() { assertEquals(0, n++); } }",
        "T",
        FAILED,
    ),
    "5 factory": (
        JUNIT5,
        "class T { @TestFactory java.util.List<DynamicTest> t() { return "
        'java.util.List.of(DynamicTest.dynamicTest("a", () -> fail())); } }',
        "T",
        FAILED,
    ),
    "5 factory itself": (
        JUNIT5,
        "class T { @TestFactory java.util.List<DynamicTest> t() { fail(); return null; } }",
        "T",
        FAILED,
    ),
    "5 disabled": (
        JUNIT5,
        "class T { @Disabled @Test void t() { fail(); } }",
        "T",
        NOT_RUN,
    ),
    "5 set-up of the class": (
        JUNIT5,
        "class T { @BeforeAll static void s() { fail(); } @Test void t() { } }",
        "T",
        NOT_RUN,
    ),
    "testng": (
        TESTNG,
        "public class T { @Test public void t() { } @Test public void u() { fail(); } }",
        "T",
        PASSED,
    ),
    "testng fails": (
        TESTNG,
        "public class T { @Test public void t() { assertEquals(1, 2); } }",
        "T",
        FAILED,
    ),
    "testng class": (
        TESTNG,
        "@Test public class T { public void t() { fail(); } }",
        "T",
        FAILED,
    ),
    "testng data": (
        TESTNG,
        "public class T { @DataProvider public Object[][] d() { return new Object[][] {{1}, {2}}; } "
        '@Test(dataProvider = "d") public void t(int n) { assertTrue(n < 2); } }',
        "T",
        FAILED,
    ),
    "testng skips": (
        TESTNG,
        'public class T { @Test public void t() { throw new org.testng.SkipException(""); } }',
        "T",
        FAILED,
    ),
    "testng depends": (
        TESTNG,
        'public class T { int n; @Test public void first() { n = 1; } @Test(dependsOnMethods = "first") '
        "public void t() { assertEquals(n, 1); } }",
        "T",
        PASSED,
    ),
    "testng base": (
        TESTNG,
        "public abstract class T { abstract int n(); @Test public void t() { assertTrue(n() < 3); } } class U"
        " extends T { int n() { return 9; } }",
        "T",
        FAILED,
    ),
    "testng off": (
        TESTNG,
        "public class T { @Test(enabled = false) public void t() { fail(); } }",
        "T",
        NOT_RUN,
    ),
    "testng set-up": (
        TESTNG,
        "public class T { @BeforeClass public void s() { fail(); } @Test public void t() { } }",
        "T",
        NOT_RUN,
    ),
    "a missing class": (
        JUNIT4,
        "public class T { @Test public void t() { new Gone(); } } class Gone { }",
        "T",
        NOT_RUN,
    ),
    "a broken class": (
        JUNIT4,
        'public class T { @Test public void t() { new B(); } } class B { static int n = Integer.parseInt("x"); }',
        "T",
        FAILED,
    ),
}
"""Imports, classes, the test's class, and how its test `t` ends."""


@pytest.mark.java
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_test_is_run_by_its_framework(pool: ExecutionPool, name: str) -> None:
    imports, body, test_class, expected = CASES[name]
    framework = {"5": "org/junit/jupiter", "t": "org/testng"}.get(name[0])
    jars = {"5": "junit-platform-launcher", "t": "testng"}
    if framework and not any(jars[name[0]] in jar.name for jar in pool.libraries):
        pytest.skip(f"this machine has no {jars[name[0]]}.jar")
    file = body.partition("public class ")[2].split()[0] if body.startswith("public class ") else test_class
    unit = Unit(pool.new_folder(), {f"{file}.java": f"{imports} {body}"})
    assert pool.compile([unit]) == [None]
    if name == "a missing class":
        (unit.folder / "Gone.class").unlink()

    def run(runner: Runner) -> TestOutcome:
        return runner.run(test_class, "t", [unit.folder], 60.0)

    [outcome] = pool.each([name], lambda batch: [run for _ in batch])
    assert outcome.ended == expected, outcome
    assert bool(outcome.message) == (expected != PASSED)


def jar_with(path: Path, *classes: str) -> Path:
    """Write a jar of empty classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in classes:
            archive.writestr(f"{name}.class", b"")
    return path


API, ENGINE = "org/junit/jupiter/api/Test", "org/junit/jupiter/engine/JupiterTestEngine"
COMMONS, LAUNCHER = "org/junit/platform/commons/JUnitException", "org/junit/platform/launcher/Launcher"


def test_a_project_s_own_frameworks_come_first_and_what_lacks_is_added(tmp_path: Path) -> None:
    own = jar_with(tmp_path / "own/api-6.jar", API)
    project = jar_with(tmp_path / "own/project.jar", "p/Foo")
    (classes := tmp_path / "classes").mkdir()
    given = [jar_with(tmp_path / f"{name}.jar", key) for name, key in (("api", API), ("engine", ENGINE))]
    needed = jar_with(tmp_path / "needed.jar", "of/some/Framework")
    libraries, left = split_class_path([classes, own, project, tmp_path / "gone.jar"], [*given, needed])
    assert libraries == [own, given[1], needed]
    assert left == [classes, project, tmp_path / "gone.jar"]


@pytest.mark.parametrize("checksum", ["", "0a1b/"])
def test_what_a_build_adds_is_taken_from_the_same_repository(tmp_path: Path, checksum: str) -> None:
    def jar(name: str, version: str, key: str) -> Path:
        folder = f"org.junit/{name}/{version}/{checksum and name + checksum}"
        return jar_with(tmp_path / folder / f"{name}-{version}.jar", key)

    api, commons = jar("junit-jupiter-api", "5.10.2", API), jar("junit-platform-commons", "1.10.2", COMMONS)
    engine, launcher = jar("junit-jupiter-engine", "5.10.2", ENGINE), jar("junit-platform-launcher", "1.10.2", LAUNCHER)
    jar("junit-jupiter-engine", "5.9.0", ENGINE)
    other = jar_with(tmp_path / "debian/junit-platform-launcher.jar", LAUNCHER)
    libraries, left = split_class_path([api, commons], [other])
    assert libraries == [api, commons, engine, launcher]
    assert left == []


def test_only_whole_frameworks_of_debian_count(tmp_path: Path) -> None:
    for name in ("junit4", "testng", "jcommander", "bsh"):
        jar_with(tmp_path / f"{name}.jar", "any")
    assert [jar.name for jar in debian_jars(tmp_path)] == ["testng.jar", "jcommander.jar", "bsh.jar"]


@pytest.mark.java
def test_a_framework_that_is_missing_is_said(toolchain: Toolchain) -> None:
    junit4 = [jar for jar in toolchain.junit if jar.name.startswith(("junit4", "hamcrest"))]
    annotations = {
        "org/junit/platform/commons/annotation/Testable.java": "package org.junit.platform.commons.annotation; "
        "@java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME) public @interface Testable { }",
        "T.java": "class T { @org.junit.platform.commons.annotation.Testable void t() { } }",
    }
    with ExecutionPool(replace(toolchain, junit=tuple(junit4)), workers=1) as pool:
        unit = Unit(pool.new_folder(), annotations)
        assert pool.compile([unit]) == [None]
        [outcome] = pool.each([unit], lambda batch: [lambda runner: runner.run("T", "t", [unit.folder], 60.0)])
    assert outcome.ended == NOT_RUN
    assert outcome.message == "it needs JUnit 5's platform launcher and engine, which was not found"
