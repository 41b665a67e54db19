"""`assertkd suggest --check`: which suggestions compile, and with which the test passes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.evaluation.execution import pool
from assertkd.evaluation.execution.confine import find_confinement
from assertkd.evaluation.execution.jdk import ToolMissingError, find_toolchain
from assertkd.java.projects import project_root
from assertkd.records import MARKER
from assertkd.suggest import check
from assertkd.suggest.check import check_assertions
from assertkd.suggest.site import AssertionSite, find_site
from assertkd.suggest.suggest import Suggestion

FOO = "package p;\npublic class Foo extends Base {\n    public int add(int n) {\n        return n + base();\n    }\n}\n"
BASE = "package p;\nclass Base {\n    int base() { return 1; }\n}\n"
TEST = """package p;
import static org.junit.Assert.*;
import org.junit.Test;
public class FooTest {
    @Test
    public void works() {
        int sum = new Foo().add(1);
    }
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, source in (("main/java/p/Foo", FOO), ("main/java/p/Base", BASE), ("test/java/p/FooTest", TEST)):
        path = tmp_path / "src" / f"{name}.java"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    (tmp_path / "pom.xml").touch()
    return tmp_path


def site(project: Path, source: str = TEST) -> AssertionSite:
    path = project / "src/test/java/p/FooTest.java"
    return find_site(source.encode(), str(path), [project_root(path)], [])


def needs_java() -> None:
    try:
        find_confinement(find_toolchain().java)
    except ToolMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.java
def test_suggestions_are_compiled_and_run(project: Path) -> None:
    needs_java()
    texts = ["assertEquals(2, sum);", "assertEquals(3, sum);", "assertEquals(2, total);", "assertEquals(", "sum++;"]
    checks = check_assertions(site(project), texts, [project])
    assert [one.compiles for one in checks] == [True, True, False, False, True]
    assert [one.passes for one in checks] == [True, False, False, False, False]
    assert "expected:<3> but was:<2>" in checks[1].message
    assert "cannot find symbol" in checks[2].message


class OpenPool(pool.ExecutionPool):
    """A pool that a `with` block leaves as it is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.fixture(scope="module")
def open_pool() -> Iterator[OpenPool]:
    needs_java()
    opened = OpenPool(find_toolchain(), workers=1)
    pool.ExecutionPool.__enter__(opened)
    yield opened
    pool.ExecutionPool.__exit__(opened)


@pytest.fixture
def one_pool(open_pool: OpenPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all checks compile and run in the same two JVMs, which take seconds to start."""
    monkeypatch.setattr(check, "ExecutionPool", lambda *_, **__: open_pool)


@pytest.mark.java
@pytest.mark.usefixtures("one_pool")
@pytest.mark.parametrize("mark", [MARKER, '"<AssertPlaceHolder>";', "<ASSERTION_PLACEHOLDER>;"])
def test_placeholders_of_other_tests_stay_empty(project: Path, mark: str) -> None:
    source = TEST.replace("    }\n}\n", f"        {mark}\n    }}\n    @Test public void more() {{ {mark}\n    }}\n}}\n")
    path = project / "src/test/java/p/FooTest.java"
    found = find_site(source.encode(), str(path), [project_root(path)], [], "works")
    [check] = check_assertions(found, ["assertEquals(2, sum);"], [project])
    assert (check.compiles, check.passes) == (True, True)


@pytest.mark.java
@pytest.mark.usefixtures("one_pool")
def test_a_test_that_cannot_compile_here_is_said(project: Path) -> None:
    source = TEST.replace("import org.junit.Test;", "import org.junit.Test;\nimport absent.Library;")
    with pytest.raises(UserError, match="does not compile, whatever replaces the placeholder") as fault:
        check_assertions(site(project, source), ["assertEquals(2, sum);"], [project])
    assert "--class-path" in fault.value.remedy


@pytest.mark.java
def test_what_cannot_be_confined_is_not_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_java()

    def cannot_confine(java: Path) -> None:
        raise ToolMissingError("no bubblewrap was found")

    monkeypatch.setattr(pool, "find_confinement", cannot_confine)
    with pytest.raises(UserError, match="--check: no bubblewrap was found"):
        check_assertions(site(project), ["assertEquals(2, sum);"], [project])


@pytest.mark.java
@pytest.mark.usefixtures("one_pool")
def test_the_command_shows_what_compiles(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_java()
    texts = ("assertEquals(3, sum);", "assertEquals(2, total);", "assertEquals(2, sum);")
    suggestions = [Suggestion(text, -1.0, True) for text in texts]
    monkeypatch.setattr("assertkd.suggest.suggest.suggest_assertions", lambda *_: suggestions)
    monkeypatch.setattr("assertkd.suggest.kept_export.kept_export", lambda folder: folder)
    monkeypatch.setattr("assertkd.models.exported.ExportedModel", lambda _: None)
    arguments = ["suggest", str(project / "src/test/java/p/FooTest.java"), "--model", "any", "--check"]
    assert main(arguments) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("  1.  -1.000  assertEquals(3, sum);   (fails: ")
    assert second == "  2.  -1.000  assertEquals(2, sum);"
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["suggestions"]
    assert [(one["assertion"], one["passes"]) for one in found] == [(texts[0], False), (texts[2], True)]


def framework_test(project: Path, framework: str, source: str, text: str) -> list[check.Check]:
    """Return what is found of a wrong and of a right assertion in a test."""
    if not any(framework in jar.name for jar in find_toolchain().junit):
        pytest.skip(f"this machine has no {framework}.jar")
    (project / "src/test/java/p/FooTest.java").write_text(source, encoding="utf-8")
    return check_assertions(site(project, source), [text.replace("2", "3"), text], [project])


PARAMETERIZED = """package p;
import static org.junit.Assert.*;
import org.junit.*;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
@RunWith(Parameterized.class)
public class FooTest {
    @Parameterized.Parameters public static Object[] data() { return new Object[] {1, 1}; }
    private final int n;
    public FooTest(int n) { this.n = n; }
    @Test
    public void works() {
        int sum = new Foo().add(n);
    }
}
"""
ABSTRACT = """package p;
import static org.junit.Assert.*;
import org.junit.*;
public abstract class FooTest {
    abstract Foo create();
    @Test
    public void works() {
        int sum = create().add(1);
    }
}
"""


@pytest.mark.java
@pytest.mark.usefixtures("one_pool")
@pytest.mark.parametrize(
    ("framework", "source"),
    [
        ("junit4", PARAMETERIZED),
        ("junit4", ABSTRACT + "class PlainTest extends FooTest { Foo create() { return new Foo(); } }\n"),
        (
            "junit-platform-launcher",
            TEST.replace("org.junit.Assert.*", "org.junit.jupiter.api.Assertions.*")
            .replace("org.junit.Test", "org.junit.jupiter.api.Test")
            .replace("public ", ""),
        ),
        (
            "testng",
            TEST.replace("org.junit.Assert", "org.testng.Assert").replace("org.junit.T", "org.testng.annotations.T"),
        ),
    ],
)
def test_every_framework_s_tests_are_run(project: Path, framework: str, source: str) -> None:
    wrong, right = framework_test(project, framework, source, "assertEquals(2, sum);")
    assert (right.compiles, right.passes) == (True, True), right
    assert (wrong.compiles, wrong.passes, wrong.ran) == (True, False, True)
    assert "expected" in wrong.message
    assert "2" in wrong.message


@pytest.mark.java
@pytest.mark.usefixtures("one_pool")
def test_a_base_class_is_run_in_the_classes_of_other_files(project: Path) -> None:
    source = "package p;\npublic class PlainTest extends FooTest { Foo create() { return new Foo(); } }\n"
    (project / "src/test/java/p/PlainTest.java").write_text(source, encoding="utf-8")
    wrong, right = framework_test(project, "junit4", ABSTRACT, "assertEquals(2, sum);")
    assert (wrong.passes, right.passes) == (False, True)


@pytest.mark.java
@pytest.mark.usefixtures("one_pool")
def test_a_complaint_of_the_runner_is_not_shown_as_a_failing_assertion(project: Path) -> None:
    with pytest.raises(UserError, match=r"FooTest\.works was not run \(p\.FooTest is abstract, and no class"):
        framework_test(project, "junit4", ABSTRACT, "assertEquals(2, sum);")


def test_a_machine_without_java_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ToolMissingError("no JDK of version 11 or newer was found")

    monkeypatch.setattr(check, "find_toolchain", missing)
    with pytest.raises(UserError, match="--check: no JDK of version 11 or newer was found"):
        check_assertions(site(project), ["assertEquals(2, sum);"], [project])
