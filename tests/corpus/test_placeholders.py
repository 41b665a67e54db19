"""Where a test says that its assertion goes: every form is read as the marker, and nothing that only looks like one."""

import json
from pathlib import Path

import pytest

from assertkd.corpus.params import Reading
from assertkd.corpus.read import NO_PLACEHOLDER, ReadRecord, Rejection, read_raw
from assertkd.records import MARKER


def read(path: Path, test: str, **fields: str) -> ReadRecord | Rejection:
    line = {"focal_method": "int f() { return 1; }", "test_method": test, "assertion": "assertEquals(1, f());"} | fields
    path.write_text(json.dumps(line), encoding="utf-8")
    (item,) = read_raw(path, Reading())
    return item


@pytest.mark.parametrize(
    ("mark", "form"),
    [
        (MARKER, "marker"),
        ("//<ASSERTION_PLACEHOLDER>", "line comment"),
        ("//   < assertion_placeholder >", "line comment"),
        ("// <AssertPlaceHolder>", "line comment"),
        ("/* <ASSERTION_PLACEHOLDER> */", "block comment"),
        ("/*<assertPlaceholder>*/;", "block comment"),
        ('"<AssertPlaceHolder>";', "string"),
        ('"<AssertPlaceHolder>" ;', "string"),
        ('" <ASSERT_PLACEHOLDER> "', "string"),
        ("<ASSERTION_PLACEHOLDER>", "tag"),
        ("<AssertPlaceHolder> ;", "tag"),
    ],
)
def test_the_forms_of_the_field_are_read_as_the_marker(tmp_path: Path, mark: str, form: str) -> None:
    item = read(tmp_path / "raw.jsonl", f"void t() {{\n    g();\n    {mark}\n    h();\n}}")
    assert isinstance(item, ReadRecord)
    assert item.record.test_method == f"void t() {{\n    g();\n    {MARKER}\n    h();\n}}"
    assert item.placeholder == form


def test_code_around_a_mark_stays_code(tmp_path: Path) -> None:
    item = read(tmp_path / "raw.jsonl", 'testA ( ) { int x = f ( ) ; "<AssertPlaceHolder>" ; g ( ) ; }')
    assert isinstance(item, ReadRecord)
    lines = item.record.test_method.split("\n")
    assert [line.strip() for line in lines] == ["testA ( ) { int x = f ( ) ;", MARKER, "g ( ) ; }"]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        (" it's two", f"{MARKER}\n    // it's two"),
        (" // two", f"{MARKER} // two"),
        (";", f"{MARKER};"),
    ],
)
def test_text_behind_a_line_comment_s_mark_stays_a_comment(tmp_path: Path, text: str, becomes: str) -> None:
    item = read(tmp_path / "raw.jsonl", f"void t() {{\n    //<ASSERTION_PLACEHOLDER>{text}\n    h();\n}}")
    assert isinstance(item, ReadRecord)
    assert item.record.test_method == f"void t() {{\n    {becomes}\n    h();\n}}"


def test_the_source_for_execution_has_its_mark_read_too(tmp_path: Path) -> None:
    item = read(
        tmp_path / "raw.jsonl", f"void t() {{ {MARKER}\n}}", test_source='class T {\n  "<AssertPlaceHolder>";\n}'
    )
    assert isinstance(item, ReadRecord)
    assert item.record.extra["test_source"] == f"class T {{\n  {MARKER}\n}}"


@pytest.mark.parametrize(
    "test",
    [
        "void t() { assertPlaceholder(x); }",
        "void t() { this.assertPlaceHoldersMap(m); }",
        'void t() { draw("<svg><mask>"); }',
        "void t() { assertTrue(a < b && c > d); }",
        "void t() { List<Assertion> a = response.getAssertions(); }",
        "void t ( ) { List < Assertion > a = response . getAssertions ( ) ; }",
        "void t() { Optional<Mask> m = image.<Mask>find(); List<Assert> l = null; }",
        "void t() { Optional<MASK> m = f(); Map<String, Fill> g; Supplier<Fill> s; }",
        "void t() { assertEquals(1, bits[MASK] + row[0][MASK] + f()[MASK]); }",
    ],
)
def test_code_that_names_a_placeholder_is_no_mark(tmp_path: Path, test: str) -> None:
    item = read(tmp_path / "raw.jsonl", test)
    assert isinstance(item, ReadRecord)
    assert item.placeholder == NO_PLACEHOLDER
    assert item.record.test_method.count(MARKER) == 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("// ASSERTION_PLACEHOLDER", "name in a comment"),
        ("/* put the <ASSERTION_PLACEHOLDER> here */", "name in a comment"),
        ('"ASSERT_PLACEHOLDER";', "name in a string"),
        ('check("<AssertPlaceHolder>");', "name in a string"),
        ("[ASSERTION_PLACEHOLDER]", "name in code"),
        ("{{ assertion_placeholder }}", "name in code"),
        ("ASSERTION_PLACEHOLDER;", "name in code"),
        ("<extra_id_0>", "mask of another kind"),
        ("// [MASK]", "mask of another kind"),
        ("<ASSERTION>", "mask of another kind"),
        ("<mask>;", "mask of another kind"),
        ("[MASK];", "mask of another kind"),
        ("int x = 1;<assert>", "mask of another kind"),
        ("/* < Assertion > */", "mask of another kind"),
        ("List<AssertionPlaceholder> a;", "name in code"),
    ],
)
def test_what_only_looks_like_a_mark_is_counted_and_gets_no_second_one(tmp_path: Path, text: str, kind: str) -> None:
    item = read(tmp_path / "raw.jsonl", f"void t() {{\n    g();\n    {text}\n}}")
    assert isinstance(item, Rejection)
    assert item.reason == f"test_method holds what looks like the marker, but is not read as one ({kind})"


def test_the_marker_counts_behind_another_comment_and_in_a_string(tmp_path: Path) -> None:
    item = read(tmp_path / "raw.jsonl", f"void t() {{\n    g(); // then {MARKER}\n}}")
    assert isinstance(item, ReadRecord)
    assert item.placeholder == "marker"
    item = read(tmp_path / "raw.jsonl", f'void t() {{\n    log("{MARKER}");\n    "<AssertPlaceHolder>";\n}}')
    assert isinstance(item, Rejection)
    assert item.reason == "test_method holds the marker 2 times"


def test_two_marks_of_different_forms_are_two(tmp_path: Path) -> None:
    item = read(tmp_path / "raw.jsonl", f'void t() {{\n    {MARKER}\n    "<AssertPlaceHolder>";\n}}')
    assert isinstance(item, Rejection)
    assert item.reason == "test_method holds the marker 2 times"
