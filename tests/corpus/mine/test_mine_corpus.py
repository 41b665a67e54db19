"""Mining whole projects: what is found, what is left out and counted, and that records hold what the files say."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assertkd.cli import main
from assertkd.corpus.mine.counts import format_counts
from assertkd.corpus.mine.mine_corpus import mine_corpus
from assertkd.corpus.params import MineCorpusParams, Reading
from assertkd.corpus.read import read_raw
from assertkd.errors import UserError
from assertkd.java.projects import find_projects
from assertkd.java.source import leaves, parse
from assertkd.records import MARKER, Record
from assertkd.settings import MiningSettings
from assertkd.synthetic import generate

FOO = "package p; public class Foo { public int add(int n) { return n + 1; } }"
TEST = "package p; import org.junit.Test; public class FooTest { @Test public void testAdd() { %s } }"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def mined(
    folder: Path, sources: Sequence[Path], workers: int = 1, max_characters: int = 20_000, **settings: Any
) -> tuple[list[dict[str, Any]], Any]:
    """Return the mined lines and the counts."""
    params = MineCorpusParams(
        java_sources=tuple(map(str, sources)), mining=MiningSettings(**settings), max_characters=max_characters
    )
    account = mine_corpus(params, folder / "mined.jsonl", folder / "mined.json", workers)
    assert json.loads((folder / "mined.json").read_text(encoding="utf-8")) == account
    return [json.loads(line) for line in (folder / "mined.jsonl").read_text(encoding="utf-8").splitlines()], account


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    """A Maven project made of generated records, whose focal methods are known by construction."""
    root = tmp_path_factory.mktemp("generated") / "project"
    records = list(generate(300, 11, None))
    write(root, {"pom.xml": "<project/>", "LICENSE.txt": "MIT"})
    for record in records:
        of, package = record.extra, record.extra["class_source"].partition(";")[0].removeprefix("package ")
        folder = package.replace(".", "/")
        test = of["test_source"].replace(MARKER, record.assertion)
        write(root / "src/main/java" / folder, {f"{of['class_name']}.java": of["class_source"]})
        write(root / "src/test/java" / folder, {f"{of['test_class_name']}.java": test})
    return root, records


def tokens(text: str) -> list[str]:
    root = parse(text.encode()).root_node
    assert not root.has_error, text
    return [leaf.text.decode() for leaf in leaves(root) if leaf.text]


def originals(root: Path) -> Iterator[tuple[str, str]]:
    """Yield every test file's name and source."""
    for path in sorted(root.rglob("*Test.java")):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def test_generated_tests_are_cut_as_they_were_made_and_linked_to_what_they_test(
    generated: tuple[Path, list[Record]], tmp_path: Path
) -> None:
    root, records = generated
    lines, account = mined(tmp_path, [root])
    assert account["total"]["tests"] == len(records)
    found = {(line["test_method"], line["assertion"]): line for line in lines}
    cut = [found[record.test_method, record.assertion] for record in records]
    same = [line["focal_method"] == record.focal_method for line, record in zip(cut, records, strict=True)]
    # Where a test names neither method nor class, what it calls last need not be what its author meant.
    assert sum(same) / len(same) > 0.95
    assert all(line["licence_file"] == "LICENSE.txt" and line["project"] == "project" for line in lines)


def test_every_record_with_its_assertion_put_back_has_the_tokens_of_the_file(
    generated: tuple[Path, list[Record]], tmp_path: Path
) -> None:
    root, _ = generated
    lines, _ = mined(tmp_path, [root])
    sources = {name: " ".join(tokens(source)) for name, source in originals(root)}
    for line in lines:
        whole = line["test_method"].replace(MARKER, line["assertion"])
        inside = tokens(f"class Holder {{ {whole} }}")[3:-1]
        assert " ".join(inside) in sources[line["test_file"]]


def test_processes_change_nothing(generated: tuple[Path, list[Record]], tmp_path: Path) -> None:
    root, _ = generated
    alone, together = tmp_path / "1", tmp_path / "3"
    assert mined(alone, [root]) == mined(together, [root], workers=3)
    assert (alone / "mined.jsonl").read_bytes() == (together / "mined.jsonl").read_bytes()


def test_mined_lines_are_what_the_corpus_reads(generated: tuple[Path, list[Record]], tmp_path: Path) -> None:
    root, _ = generated
    lines, _ = mined(tmp_path, [root])
    read = [getattr(item, "record", item) for item in read_raw(tmp_path / "mined.jsonl", Reading())]
    assert all(isinstance(item, Record) for item in read)
    assert [item.id for item in read if isinstance(item, Record)] == [line["id"] for line in lines]
    assert len({line["id"] for line in lines}) == len(lines)


def test_what_is_expected_is_linked_to_what_comes_after_it(tmp_path: Path) -> None:
    body = """@Rule public ExpectedException thrown = none();
        @Test public void a() {
            Foo foo = new Foo(); thrown.expect(E.class); thrown.expectMessage("x"); foo.add(-1); }"""
    test = f"package p; import org.junit.*; public class FooTest {{ {body} }}"
    lines, _ = mined(tmp_path, [write(tmp_path / "project", {"Foo.java": FOO, "FooTest.java": test})])
    assert [(line["assertion_type"], line["focal_name"]) for line in lines] == [
        ("expect", "Foo.add"),
        ("expectMessage", "Foo.add"),
    ]


def test_assertions_that_are_no_statements_are_counted(tmp_path: Path) -> None:
    body = """@TestFactory Stream<DynamicTest> some() {
            Foo foo = new Foo();
            foo.add(1);
            assertNotNull(foo);
            return of(1, 2).map(n -> dynamicTest("x", () -> assertEquals(n + 1, foo.add(n))));
        }
        @TestFactory DynamicTest none() { return dynamicTest("x", () -> assertEquals(1, new Foo().add(1))); }"""
    test = f"package p; import org.junit.jupiter.api.*; class FooTest {{ {body} }}"
    lines, counts = mined(tmp_path, [write(tmp_path / "project", {"Foo.java": FOO, "FooTest.java": test})])
    assert [line["assertion"] for line in lines] == ["assertNotNull(foo);"]
    total = counts["total"]
    assert (total["assertions"], total["records"], list(total["assertions_unlinked"].values())) == (2, 1, [1])
    assert sum(total["tests_left_out"].values()) == 1
    printed = format_counts(counts)
    assert "left out: 1 assertion: no statement of their own" in printed
    assert "left out: 1 test: no assertion but such as are no statement of their own" in printed


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    tests = {
        "two": "assertEquals(2, new Foo().add(1)); assertEquals(3, new Foo().add(2));",
        "none": "new Foo().add(1);",
        "marked": f"new Foo().add(1);\n{MARKER}\nassertTrue(x);",
        "elsewhere": "assertEquals(1, Math.abs(-1));",
    }
    body = " ".join(f"@Test public void {name}() {{ {statements} }}" for name, statements in tests.items())
    body += " @Ignore @Test public void off() { assertEquals(2, new Foo().add(1)); }"
    project = write(
        tmp_path / "project",
        {
            "Foo.java": FOO,
            "FooTest.java": f"package p; import org.junit.*; public class FooTest {{ {body} }}",
            "Broken.java": "class Broken { void a( }",
            "Large.java": f'class Large {{ String s = "{"x" * 2000}"; }}',
            "Zeros.java": b"class Zeros { }\0",
            "Latin.java": 'class Latin { String s = "é"; }'.encode("latin-1"),
            "package-info.java": "package p;",
        },
    )
    Path(os.fsdecode(os.fsencode(project) + b"/Gr\xf6sse.java")).write_text("class A { }")
    lines, account = mined(tmp_path, [project], max_file_bytes=1500)
    total = account["total"]
    assert total["files"] == 7
    reasons = ("does not parse", "larger than 1500 bytes", "no text", "its name is not UTF-8")
    assert total["bad_files"] == dict.fromkeys(reasons, 1)
    assert total["tests_by_framework"] == {"junit4": 5}
    assert total["tests_left_out"] == {"no assertion": 1, "holds the marker": 1, "disabled": 1}
    assert total["assertions"] == 3
    assert total["assertions_unlinked"] == {"no method of the class under test is called": 1}
    assert (total["records"], total["tests_linked"], total["share_of_tests_linked"]) == (2, 1, 0.5)
    assert [line["assertion"] for line in lines] == [
        "assertEquals(2, new Foo().add(1));",
        "assertEquals(3, new Foo().add(2));",
    ]
    assert "left out: 1 file: does not parse" in format_counts(account)


def test_assertions_that_their_test_shows_are_counted(tmp_path: Path) -> None:
    body = """
        assertEquals(2, new Foo().add(1));
        assertEquals( 2, new Foo().add(1) );
        // assertEquals(3, new Foo().add(2));
        assertEquals(3, new Foo().add(2));
        assertEquals(4, new Foo().add(3)); // 4 = 3 + 1
        assertEquals(5, new Foo().add(4)); /* 5,
            as before */
        assertEquals(6, new Foo().add(5)); int m; // m
    """
    project = write(tmp_path / "project", {"Foo.java": FOO, "FooTest.java": TEST % body})
    lines, account = mined(tmp_path, [project])
    assert account["total"]["assertions_shown"] == {"statement elsewhere": 2, "comment on its line": 2, "comment": 1}
    assert "shown by its test: 1 assertion: comment\n" in format_counts(account) + "\n"
    assert "4 = 3 + 1" in lines[3]["test_method"]
    lines, account = mined(tmp_path, [project], line_comments="remove")
    assert account["total"]["assertions_shown"] == {"statement elsewhere": 2, "comment": 1}
    assert "4 = 3 + 1" not in lines[3]["test_method"]
    assert "4 = 3 + 1" in lines[4]["test_method"]
    assert "as before" not in lines[4]["test_method"]
    assert "// m" in lines[5]["test_method"]


def test_tests_with_many_assertions_can_be_left_out(tmp_path: Path) -> None:
    one, two = "assertEquals(2, new Foo().add(1));", "assertEquals(3, new Foo().add(2));"
    more = TEST.replace("FooTest", "FooMoreTest") % (one + two)
    project = write(tmp_path / "project", {"Foo.java": FOO, "FooTest.java": TEST % one, "FooMoreTest.java": more})
    lines, account = mined(tmp_path, [project], max_assertions=1)
    assert [line["assertion"] for line in lines] == [one]
    assert account["total"]["tests_left_out"] == {"more than 1 assertions": 1}
    lines, account = mined(tmp_path, [project], max_characters=80)
    assert [line["assertion"] for line in lines] == [one]
    assert account["total"]["tests_left_out"] == {"longer than 80 characters": 1}


def test_projects_are_found_by_their_build_files(tmp_path: Path) -> None:
    test = TEST % "assertEquals(2, new Foo().add(1));"
    pair: dict[str, str | bytes] = {"src/main/java/p/Foo.java": FOO, "src/test/java/p/FooTest.java": test}
    write(
        tmp_path / "all/maven",
        {"pom.xml": "", "COPYING": "x", **pair, "module/pom.xml": "", "module/A.java": "class A {}"},
    )
    write(tmp_path / "all/deep/gradle", {"build.gradle.kts": "", "build/Made.java": "class Made {}", **pair})
    write(tmp_path / "all/loose", {**pair, ".hidden/B.java": "class B {}"})
    write(tmp_path / "other/maven", {"pom.xml": "", "debian/copyright": "x", "src/build/C.java": "class C {}", **pair})
    write(tmp_path / "all/empty", {"pom.xml": ""})
    (tmp_path / "all/loop").symlink_to(tmp_path / "all")
    (tmp_path / "all/maven/src/Link.java").symlink_to(tmp_path / "other/maven/src/build/C.java")
    (tmp_path / "all/maven/src/Zero.java").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "all/maven/src/Pipe.java")
    (tmp_path / "all/deep/gradle/build.gradle").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "all/deep/gradle/settings.gradle")
    projects = {project.name: project for project in find_projects([tmp_path / "all", tmp_path / "other"])}
    files = {name: sorted(file.name for file in project.files) for name, project in projects.items()}
    here = tmp_path.name
    assert files == {
        "all/maven": ["A.java", "Foo.java", "FooTest.java"],
        "deep/gradle": ["Foo.java", "FooTest.java"],
        f"{here}/all": ["Foo.java", "FooTest.java"],
        "other/maven": ["C.java", "Foo.java", "FooTest.java"],
    }
    assert {name: project.licence for name, project in projects.items()} == {
        "all/maven": "COPYING",
        "deep/gradle": None,
        f"{here}/all": None,
        "other/maven": "debian/copyright",
    }


def test_build_files_name_folders_of_tests(tmp_path: Path) -> None:
    maven = "<build><testSourceDirectory>${project.basedir}/checks</testSourceDirectory></build>"
    gradle = "sourceSets { main { java { srcDirs = ['code'] } } test { java { srcDirs = ['unit', 'x'] } } }"
    base = "package p; public class Base { public int twice(int n) { return new Foo().add(n) + n; } }"
    test = TEST % "int n = new Base().twice(1); assertEquals(3, n); assertEquals(2, new Foo().add(1));"
    pair = {
        "src/p/Foo.java": FOO,
        "checks/p/Base.java": base,
        "checks/p/BaseTest.java": test.replace("FooTest", "BaseTest"),
    }
    write(tmp_path / "m", {"pom.xml": maven, **pair})
    write(tmp_path / "g/sub", {name.replace("checks", "unit"): text for name, text in pair.items()})
    write(tmp_path / "g", {"build.gradle": "", "sub/build.gradle": gradle})
    for name, roots in (("m", ("checks",)), ("g", ("sub/unit",))):
        (project,) = find_projects([tmp_path / name])
        assert project.test_roots == roots
        lines, _ = mined(tmp_path, [tmp_path / name])
        assert [line["focal_name"] for line in lines] == ["Foo.add"]


def test_methods_that_only_look_like_tests_are_counted(tmp_path: Path) -> None:
    body = "{ public void testAdd() { assertEquals(2, new Foo().add(1)); } }"
    files = {
        "src/main/java/p/Foo.java": FOO,
        "src/test/java/p/FooTest.java": TEST % "assertEquals(2, new Foo().add(1));",
        "src/test/java/p/Some.java": f"package p; class Some extends org.lib.Helper {body}",
        "src/test/java/p/Case.java": f"package p; class Case extends org.lib.BaseCase {body}",
        "src/test/java/p/All.java": f"""package p; import junit.framework.*; class All {{ public static Test suite() {{
            suite.addTest(new TestCase("a") {body}); suite.addTest(new TestCase("b") {{ }}); return suite; }} }}""",
    }
    lines, account = mined(tmp_path, [write(tmp_path / "project", files)])
    assert [line["test_name"] for line in lines] == ["Case.testAdd", "FooTest.testAdd"]
    left_out = {"named as JUnit 3 names tests, in a class that is no TestCase": 1, "in an anonymous TestCase": 1}
    assert account["total"]["tests_left_out"] == left_out
    assert account["total"]["tests"] == 4


def test_what_parses_of_a_file_is_used(tmp_path: Path) -> None:
    odd = (
        "package p; public class Foo { public int add(int n) { switch (o) { case final A a -> f(); } return n + 1; } }"
    )
    tests = TEST % "assertEquals(2, new Foo().add(1));"
    tests = tests.replace("} }", "} @Test public void odd() { if (o instanceof p.A(int n)) { } assertTrue(b); } }")
    lines, account = mined(tmp_path, [write(tmp_path / "project", {"Foo.java": odd, "FooTest.java": tests})])
    assert [(line["test_name"], line["focal_method"]) for line in lines] == [("FooTest.testAdd", odd[30:-2])]
    assert account["total"]["tests_left_out"] == {"does not parse": 1}
    assert account["total"]["files_in_part"] == 2
    assert "used in part: 2 files, of which parts do not parse" in format_counts(account)


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        (["absent"], "absent: no such folder"),
        (["empty"], "empty: no Java file"),
        (["some", "empty"], "empty: no Java file"),
        (["some/inner/A.java"], "A.java: is a file, no folder"),
        (["some", "some/inner"], "some/inner: lies in"),
        (["untested"], "No record comes out of 1 Java files"),
    ],
)
def test_a_fault_of_the_user_is_said(tmp_path: Path, folders: list[str], problem: str) -> None:
    write(tmp_path, {"some/inner/A.java": "class A {}", "empty/readme": "", "untested/A.java": "class A {}"})
    with pytest.raises(UserError, match=problem):
        mined(tmp_path, [tmp_path / folder for folder in folders])
    assert not (tmp_path / "mined.jsonl").exists()


def test_the_command_mines_with_the_settings_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = TEST % "assertEquals(2, new Foo().add(1)); assertEquals(3, new Foo().add(2));"
    write(tmp_path / "project", {"Foo.java": FOO, "FooTest.java": two})
    arguments = ["mine", str(tmp_path / "project"), "--output", str(tmp_path / "out.jsonl"), "--workers", "1"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["total"]["records"] == 2
    assert str(tmp_path / "out.jsonl") in printed
    assert main([*arguments, "--data.mining.max_assertions", "1"]) == 1
    assert "No record comes out of 2 Java files" in capsys.readouterr().err
    assert main([*arguments, "--data.mining.max_assertions", "0"]) == 1
    assert "data.mining.max_assertions: must be greater than or equal to 1, not 0" in capsys.readouterr().err


def test_a_shown_assertion_is_counted_however_it_is_laid_out_and_qualified(tmp_path: Path) -> None:
    body = """
        Assert.assertEquals(2, new Foo().add(1));
        assertEquals(2, /* same */ new Foo().add(1));
    """
    project = write(tmp_path / "project", {"Foo.java": FOO, "FooTest.java": TEST % body})
    _, account = mined(tmp_path, [project])
    assert account["total"]["assertions_shown"] == {"statement elsewhere": 2}


@pytest.mark.parametrize("options", [["--output", "out.json"], ["--output", "out.jsonl", "--counts", "./out.jsonl"]])
def test_counts_are_not_written_over_the_records(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["mine", str(tmp_path), *options]) == 1
    assert "the counts would be written over the records" in capsys.readouterr().err
