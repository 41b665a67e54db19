"""`assertkd suggest`: the test and its placeholder, the method under test, and what is said of faults."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assertkd.cli import main
from assertkd.errors import UserError
from assertkd.export.convert import convert
from assertkd.java.projects import project_root
from assertkd.records import MARKER
from assertkd.suggest.kept_export import kept_export
from assertkd.suggest.site import AssertionSite, find_site
from assertkd.suggest.suggest import parses

FOO = "package p;\npublic class Foo extends Base {\n    public int add(int n) {\n        return n + 1;\n    }\n}\n"
BASE = "package p;\nclass Base {\n    int twice(int n) { return 2 * n; }\n    int twice(long n) { return 3; }\n}\n"
ONE = """package p;
import org.junit.Test;
public class FooTest {
    @Test
    public void works() {
        int sum = new Foo().add(1);
    }
}
"""
TWO = ONE.replace("    }\n}\n", "    }\n    @Test public void more() { new Foo().twice(2L); }\n}\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Maven project whose path looks like one of tests."""
    root = tmp_path / "test" / "project"
    for name, source in (("main/java/p/Foo", FOO), ("main/java/p/Base", BASE), ("test/java/p/FooTest", ONE)):
        path = root / "src" / f"{name}.java"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    (root / "pom.xml").touch()
    return root


@pytest.fixture(scope="module")
def model(saved_t5: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_t5(tmp_path_factory.mktemp("student") / "final_model")


def site(project: Path, source: str, test: str | None = None, focal: str | None = None) -> AssertionSite:
    path = project / "src/test/java/p/FooTest.java"
    return find_site(source.encode(), str(path), [project_root(path)], [], test, focal)


def test_without_a_marker_the_end_of_the_body_is_meant(project: Path) -> None:
    found = site(project, ONE)
    assert (found.test, found.focal_name, found.link, found.placeholder.line) == ("FooTest.works", "Foo.add", "call", 7)
    assert found.placeholder.test == (
        f"@Test\npublic void works() {{\n    int sum = new Foo().add(1);\n    {MARKER}\n}}"
    )
    assert found.focal_method == "public int add(int n) {\n    return n + 1;\n}"
    filled = found.placeholder.filled(found.source, "assertEquals(2,\n    sum);").decode()
    assert filled == ONE.replace("add(1);\n", "add(1);\n        assertEquals(2,\n            sum);\n")


def test_the_marker_says_where(project: Path) -> None:
    source = TWO.replace("int sum", f"{MARKER}\n        int sum")
    found = site(project, source, focal="Foo.add")
    assert (found.test, found.link, found.placeholder.line) == ("FooTest.works", "given", 6)
    assert found.placeholder.filled(found.source, "assertTrue(x);").decode() == source.replace(MARKER, "assertTrue(x);")


@pytest.mark.parametrize(
    "mark",
    [
        "//<ASSERTION_PLACEHOLDER>",
        "// <assertion placeholder>",
        "/* <ASSERTION_PLACEHOLDER> */",
        '"<AssertPlaceHolder>";',
        "<AssertPlaceHolder>;",
        "<AssertPlaceHolder>",
    ],
)
def test_every_form_of_the_marker_says_where(project: Path, mark: str) -> None:
    source = ONE.replace("int sum = new Foo().add(1);", f"new Foo().add(1); {mark}\n        int more;")
    other = f"    @Test public void before() {{ {mark}\n }}\n    @Test\n    public void works"
    for text, line in ((source, 6), (source.replace("    @Test\n    public void works", other), 8)):
        found = site(project, text, "works")
        assert found.placeholder.line == line
        assert found.placeholder.test.count(MARKER) == 1
        assert mark == MARKER or mark not in found.placeholder.test
        filled = found.placeholder.filled(found.source, "assertTrue(x);").decode()
        assert filled.split("works()")[1].split() == text.replace(mark, "assertTrue(x);").split("works()")[1].split()


def test_the_line_is_the_file_s_where_markers_before_it_get_lines_of_their_own(project: Path) -> None:
    other = '    @Test public void before() { int a; "<AssertPlaceHolder>"; int b; }\n    @Test\n    public void works'
    found = site(project, ONE.replace("    @Test\n    public void works", other), "works")
    assert (found.test, found.placeholder.line) == ("FooTest.works", 8)


@pytest.mark.parametrize("text", [f"/** Put {MARKER} where the assertion goes, é. */", f"// {MARKER}"])
def test_the_marker_s_text_in_a_comment_before_it_is_no_marker(project: Path, text: str) -> None:
    source = TWO.replace("public class", f"{text}\npublic class").replace("int sum", '"<AssertPlaceHolder>"; int sum')
    found = site(project, source, focal="Foo.add")
    assert (found.test, found.placeholder.line) == ("FooTest.works", 7)
    filled = found.placeholder.filled(found.source, "assertTrue(x);").decode()
    assert filled.split() == source.replace('"<AssertPlaceHolder>";', "assertTrue(x);").split()
    assert site(project, source, "more").placeholder.line == 9


def test_the_marker_counts_behind_another_comment(project: Path) -> None:
    found = site(project, ONE.replace("int sum", f"// TODO {MARKER}\n        int sum"), focal="Foo.add")
    assert found.placeholder.line == 6


@pytest.mark.parametrize("mark", ["//<ASSERTION_PLACEHOLDER>", MARKER])
def test_text_behind_the_marker_stays_a_comment(project: Path, mark: str) -> None:
    source = TWO.replace("add(1);\n", f"add(1);\n        {mark} check that it's two\n        int more;\n")
    found = site(project, source)
    assert found.placeholder.line == 7
    filled = found.placeholder.filled(found.source, "assertTrue(x);").decode()
    assert filled == source.replace(f"{mark} ", "assertTrue(x);\n        // ")
    assert site(project, source, "more").placeholder.line == 10


def test_a_mask_in_a_comment_may_be_of_the_test_s_subject(project: Path) -> None:
    assert site(project, ONE.replace("int sum", "// the [MASK] bits\n        int sum")).placeholder.line == 8


@pytest.mark.parametrize("mark", ["// assertion placeholder", "ASSERTION_PLACEHOLDER;"])
def test_what_only_looks_like_a_marker_is_not_passed_over(project: Path, mark: str) -> None:
    with pytest.raises(UserError, match="works has what looks like a marker and is none") as fault:
        site(project, ONE.replace("add(1);\n", f"add(1);\n        {mark}\n"))
    assert MARKER in fault.value.remedy


def test_only_calls_before_the_placeholder_count(project: Path) -> None:
    calls = f"new Foo().add(1);\n{MARKER}\nnew Foo().twice(1);"
    assert site(project, ONE.replace("int sum = new Foo().add(1);", calls)).focal_name == "Foo.add"


def test_an_empty_body_on_one_line_gets_lines(project: Path) -> None:
    found = site(project, TWO, test="more")
    assert found.placeholder.test == f"@Test public void more() {{ new Foo().twice(2L);\n    {MARKER}\n}}"
    assert (
        "twice(2L);\n        assertTrue(x);\n    }\n}"
        in found.placeholder.filled(found.source, "assertTrue(x);").decode()
    )


def test_the_focal_method_is_found_where_it_is_inherited_and_among_overloads(project: Path) -> None:
    found = site(project, TWO, test="FooTest.more")
    assert (found.focal_name, found.focal_method) == ("Base.twice", "int twice(long n) { return 3; }")
    assert site(project, TWO, test="FooTest#more", focal="Foo#twice").focal_method == found.focal_method
    assert site(project, TWO, test="more", focal="Foo.add").focal_name == "Foo.add"


def test_the_implementation_that_a_factory_creates_is_found_in_its_file(project: Path) -> None:
    for name, code in {
        "Engine": "public interface Engine { int run(int n); }",
        "Engines": "public class Engines { public static Engine fast() { return pick(2); }"
        " private static Engine pick(int n) { Engine made = new FastEngine(); return made; } }",
        "FastEngine": "class FastEngine implements Engine { public int run(int n) { return n * n; } }",
        "SlowEngine": "class SlowEngine implements Engine { public int run(int n) { return n + n; } }",
    }.items():
        (project / f"src/main/java/p/{name}.java").write_text(f"package p; {code}", encoding="utf-8")
    source = """package p;
        import org.junit.jupiter.api.*;
        class FooTest { @Nested class Running {
            @RepeatedTest(2) void runs() { Engine engine = Engines.fast(); int square = engine.run(3); } } }"""
    found = site(project, source)
    assert (found.test, found.focal_name) == ("FooTest.Running.runs", "FastEngine.run")
    assert found.focal_file.endswith("src/main/java/p/FastEngine.java")


def test_a_file_that_is_being_written_is_understood(project: Path) -> None:
    broken = ONE.replace("}\n}\n", "}\n    void broken( {\n}\n")
    assert site(project, broken).focal_name == "Foo.add"


@pytest.mark.parametrize(
    ("source", "test", "focal", "problem", "remedy"),
    [
        (TWO, None, None, "2 of its tests could be meant", "--test (works, more), or put"),
        (ONE, "absent", None, "has no test 'absent'", "It has works."),
        (ONE, None, "Other.add", "no class 'Other' was found", "--sources"),
        (ONE, None, "add", "no class '' was found", "Write Class.method"),
        (ONE, None, "Foo.absent", "Foo has no method 'absent' with a body", "It has add, twice."),
        (ONE.replace("new Foo().add(1)", "1"), None, None, "it is not clear what works tests", "--focal Class.method"),
        ("class A {}", None, None, "holds no test", "JUnit"),
        ("class A { @Test void a( }", None, None, "holds no test (does not parse)", "JUnit"),
        pytest.param(
            f"class A {{ @Test void a() {{ f({'n = ' * 5000}1); }} }}", None, None, "(nested too deep)", "JUnit",
            id="nested too deep",
        ),
        (TWO.replace("new Foo().", f"{MARKER}\n f."), None, None, "2 of its tests hold the marker", "--test"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_said(
    project: Path, source: str, test: str | None, focal: str | None, problem: str, remedy: str
) -> None:
    with pytest.raises(UserError) as fault:
        site(project, source, test, focal)
    assert problem in fault.value.problem
    assert remedy in fault.value.remedy


def test_the_command_prints_ranked_assertions(
    project: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    path = "src/test/java/p/FooTest.java"
    common = ["--model", str(model), "--count", "3", "--max-output-len", "8"]
    assert main(["suggest", path, *common, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["line"], answer["test"]) == (7, "FooTest.works")
    assert answer["focal"] == {"name": "Foo.add", "file": "src/main/java/p/Foo.java", "link": "call"}
    ranks = [(not one["parses"], -one["score"]) for one in answer["suggestions"]]
    assert ranks == sorted(ranks)
    assert len(ranks) <= 3
    assert main(["suggest", path, *common]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{path}:7: FooTest.works tests Foo.add (src/main/java/p/Foo.java, by call)\n")
    assert [one["assertion"] in printed for one in answer["suggestions"]] == [True] * len(ranks)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ONE.encode())))
    assert main(["suggest", "-", *common, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suggestions"] == answer["suggestions"]
    for arguments in (
        ["absent.java"],
        [path, "absent/Foo.java"],
        [path, "--sources", "absent"],
        [path, "--count", "0"],
    ):
        assert main(["suggest", *arguments, *common[:2]]) == 1
        error, remedy = capsys.readouterr().err.strip().splitlines()
        assert error.startswith("Error: ")
        assert remedy


def test_the_editor_s_task_shows_suggestions_at_their_line(
    project: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task of the documentation, run and matched as Visual Studio Code does."""
    page = (Path(__file__).parents[2] / "docs" / "suggest.md").read_text(encoding="utf-8")
    tasks = json.loads(page.partition("```json\n")[2].partition("```")[0])
    (task,) = tasks["tasks"]
    path = project / "src/test/java/p/FooTest.java"
    values = {"${file}": str(path), "student": str(model), "--test=${input:test}": "--test="}
    arguments = [values.get(argument, argument) for argument in task["args"] if argument != "--check"]
    assert not [argument for argument in arguments if "${" in argument]
    assert task["command"] == "assertkd"
    assert main([*arguments, "--max-output-len", "8"]) == 0
    # Each pattern has to match the next line; the last, which loops, gives a problem a line.
    first, second = task["problemMatcher"]["pattern"]
    head, *rest = capsys.readouterr().out.splitlines()
    found = re.search(first["regexp"], head)
    assert found is not None
    assert (found[first["file"]], found[first["line"]]) == (str(path), "7")
    assert second["loop"] is True
    messages = [match[second["message"]] for line in rest if (match := re.search(second["regexp"], line))]
    assert len(messages) == len(rest) > 0
    assert main([*arguments, "--max-output-len", "8", "--json"]) == 0
    suggested = [one["assertion"] for one in json.loads(capsys.readouterr().out)["suggestions"]]
    assert [message.removesuffix("   (does not parse)") for message in messages] == suggested


def test_neither_torch_nor_transformers_is_imported(project: Path, model: Path) -> None:
    program = (
        "import sys; from assertkd.cli import main; code = main(sys.argv[1:]);"
        "slow = {'torch', 'transformers', 'pydantic', 'pandas'} & set(sys.modules); sys.exit(slow or code)"
    )  # fmt: skip
    path = project / "src/test/java/p/FooTest.java"
    arguments = ["suggest", str(path), "--model", str(model), "--max-output-len", "4"]
    kept_export(model)
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_export_is_taken_as_it_is(
    project: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(model, tmp_path / "export", "int8")
    path = project / "src/test/java/p/FooTest.java"
    arguments = ["suggest", str(path), "--count", "2", "--max-output-len", "6", "--model", str(tmp_path / "export")]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "FooTest.works tests Foo.add" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("assertEquals(1, f());", True), ("assertEquals(1, );", False), ("} void g() {", False), ("f(); g();", True)],
)
def test_what_parses_in_its_place(text: str, expected: bool) -> None:
    assert parses(text) is expected
