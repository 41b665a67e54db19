"""`assertkd suggest --check`: which suggestions compile, and with which the test passes."""

import json
from pathlib import Path

import pytest

from assertkd.cli import main
from assertkd.errors import UserError
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
        find_toolchain()
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


@pytest.mark.java
def test_placeholders_of_other_tests_stay_empty(project: Path) -> None:
    needs_java()
    source = TEST.replace(
        "    }\n}\n", f"        {MARKER}\n    }}\n    @Test public void more() {{ {MARKER}\n    }}\n}}\n"
    )
    path = project / "src/test/java/p/FooTest.java"
    found = find_site(source.encode(), str(path), [project_root(path)], [], "works")
    [check] = check_assertions(found, ["assertEquals(2, sum);"], [project])
    assert (check.compiles, check.passes) == (True, True)


@pytest.mark.java
def test_a_test_that_cannot_compile_here_is_said(project: Path) -> None:
    needs_java()
    source = TEST.replace("import org.junit.Test;", "import org.junit.Test;\nimport absent.Library;")
    with pytest.raises(UserError, match="does not compile, whatever replaces the placeholder") as fault:
        check_assertions(site(project, source), ["assertEquals(2, sum);"], [project])
    assert "--class-path" in fault.value.remedy


@pytest.mark.java
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


def test_a_machine_without_java_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ToolMissingError("no JDK of version 11 or newer was found")

    monkeypatch.setattr(check, "find_toolchain", missing)
    with pytest.raises(UserError, match="--check: no JDK of version 11 or newer was found"):
        check_assertions(site(project), ["assertEquals(2, sum);"], [project])
