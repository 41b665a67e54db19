"""Raw lines: every accepted form, and every bad one with its place and reason."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from assertkd.corpus.params import Reading
from assertkd.corpus.read import ReadRecord, Rejection, read_raw
from assertkd.errors import UserError
from assertkd.records import MARKER, Record

FOCAL = "int size() { return n; }"
TEST = f"void t() {{\n    {MARKER}\n}}"
GAPPED = {"focal_method": FOCAL, "test_method": TEST}
LINE = {"focal_method": FOCAL, "test_method": TEST, "assertion": "assertTrue(x);"}


def items_of(path: Path, **reading: Any) -> list[ReadRecord | Rejection]:
    """Return what is read of a file with these options of `data`."""
    return list(read_raw(path, Reading(max_characters=1000, **reading)))


def read(path: Path, *lines: Any, **reading: Any) -> list[tuple[int, Record | Rejection]]:
    """Return what is read of these lines: bytes as they are, anything else as JSON."""
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    items = items_of(path, **reading)
    return [(item.line, item if isinstance(item, Rejection) else item.record) for item in items]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "raw.jsonl"


def only(items: list[tuple[int, Record | Rejection]]) -> Record:
    ((_, item),) = items
    assert isinstance(item, Record)
    return item


def test_the_simple_form(path: Path) -> None:
    assert only(read(path, LINE)) == Record("raw:1", FOCAL, TEST, "assertTrue(x);")


def test_the_form_with_a_list(path: Path) -> None:
    line = {
        "focal_method": FOCAL,
        "test_method_masked": TEST,
        "assertions": ["a();"],
        "id": 7,
        "project": "p",
        "x": [1],
    }
    assert only(read(path, line)) == Record("7", FOCAL, TEST, "a();", "p", {"x": [1]})


def test_what_a_teacher_said_is_no_part_of_the_record(path: Path) -> None:
    teacher = {
        "teacher_logits_compressed": "AAAA",
        "teacher_logits_shape": [1, 2],
        "teacher_logits_dtype": "float16",
        "target_ids": [1],
        "teacher_prediction": "\ud800",
    }
    assert only(read(path, LINE | teacher | {"licence": "MIT"})).extra == {"licence": "MIT"}


def test_the_simple_form_wins_where_both_are_given(path: Path) -> None:
    line = LINE | {"assertions": ["b();"], "test_method_masked": f"void u() {{ {MARKER} }}"}
    assert only(read(path, line)) == Record("raw:1", FOCAL, TEST, "assertTrue(x);")


def test_an_id_of_null_is_none(path: Path) -> None:
    assert only(read(path, LINE | {"id": None})).id == "raw:1"


def test_a_list_is_split_with_the_assertions_before_in_the_test(path: Path) -> None:
    line = {"focal_method": FOCAL, "test_method_masked": TEST, "assertions": ["a();", "b(1,\n  2);", "c();"], "id": "i"}
    items = read(path, line)
    assert [number for number, _ in items] == [1, 1, 1]
    first, second, third = (item for _, item in items)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert isinstance(third, Record)
    assert [r.id for r in (first, second, third)] == ["i#0", "i#1", "i#2"]
    assert [r.assertion for r in (first, second, third)] == ["a();", "b(1,\n  2);", "c();"]
    assert first.test_method == TEST
    assert second.test_method == f"void t() {{\n    a();\n    {MARKER}\n}}"
    assert third.test_method == f"void t() {{\n    a();\n    b(1,\n      2);\n    {MARKER}\n}}"


def test_a_list_is_joined_into_one_target(path: Path) -> None:
    line = {"focal_method": FOCAL, "test_method_masked": TEST, "assertions": ["a();", "b();"], "id": "i"}
    assert only(read(path, line, multiple="join")) == Record("i", FOCAL, TEST, "a();\nb();")


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("void t() { f(); }", f"void t() {{ f();\n    {MARKER}\n}}"),
        ("void t() {\n  if (x) { f(); }\n}\n", f"void t() {{\n  if (x) {{ f(); }}\n    {MARKER}\n}}"),
        ("void t() { if (x) { f(); }", f"void t() {{ if (x) {{ f(); }}\n    {MARKER}"),
        ("void t() { f();", f"void t() {{ f();\n    {MARKER}"),
        ('void t() { s = "{" + f(); }', f'void t() {{ s = "{{" + f();\n    {MARKER}\n}}'),
        ("void t() { c = '}'; }", f"void t() {{ c = '}}';\n    {MARKER}\n}}"),
        ("void t() { f(); } // end of t {", f"void t() {{ f();\n    {MARKER}\n}} // end of t {{"),
        ("void t() { f(); /* } */ };", f"void t() {{ f(); /* }} */\n    {MARKER}\n}};"),
        ("f();", f"f();\n    {MARKER}"),
    ],
)
def test_a_test_without_marker_gets_one_at_the_end_of_its_body(path: Path, test: str, expected: str) -> None:
    assert only(read(path, LINE | {"test_method": test})).test_method == expected


def test_line_ends_bom_and_blank_lines(path: Path) -> None:
    crlf = LINE | {"focal_method": "  int f() {\r\n  return 1;   \r}\n"}
    items = read(path, b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r", b"", b"  \t", crlf)
    assert [number for number, _ in items] == [1, 4]
    second = items[1][1]
    assert isinstance(second, Record)
    assert second.id == "raw:4"
    assert second.focal_method == "int f() {\n  return 1;\n}"


def test_other_characters_stay(path: Path) -> None:
    text = 'assertEquals("Füße\u2028\u0085☕", "𝒳");'
    assert only(read(path, json.dumps(LINE | {"assertion": text}, ensure_ascii=False).encode())).assertion == text


BAD = [
    (b"{", "not JSON"),
    (b"[" * 100_000, "nested deeper than 100"),
    (b'{"x": ' + b"[" * 987 + b"]" * 987 + b"}", "nested deeper than 100"),
    (b'{"x": ' + b"9" * 5000 + b"}", "holds a number of more digits than are read"),
    (b'{"x": NaN}', "holds NaN, which JSON lacks"),
    (b'{"x": [-Infinity]}', "holds -Infinity, which JSON lacks"),
    (b'{"id": 1, "x": {"y": 1, "y": 2}}', "the key 'y' comes twice"),
    (json.dumps(LINE)[:-1].encode() + b', "x": 1e999}', "holds a number that is too large"),
    (b"\xff\xfe{}", "not UTF-8"),
    (b"[1]", "not a JSON object"),
    (b'"text"', "not a JSON object"),
    (LINE | {"note": "\ud83d"}, "holds half of a surrogate pair"),
    ({"test_method": TEST, "assertion": "a();"}, "focal_method is missing"),
    ({"focal_method": FOCAL, "assertion": "a();"}, "test_method is missing"),
    (GAPPED, "assertion is missing"),
    (LINE | {"focal_method": 3}, "focal_method is not a string"),
    (LINE | {"assertion": None}, "assertion is not a string"),
    (LINE | {"test_method": " \n"}, "test_method is blank"),
    (LINE | {"assertion": ""}, "assertion is blank"),
    (LINE | {"focal_method": "x" * 1001}, "focal_method is longer than 1000 characters"),
    (LINE | {"test_method": f"{MARKER}\n{MARKER}"}, "test_method holds the marker 2 times"),
    (LINE | {"assertion": MARKER}, "assertion holds the marker"),
    (GAPPED | {"assertions": ["a();", '"<AssertPlaceHolder>";']}, "assertion holds the marker"),
    (LINE | {"project": 3}, "project is not a string"),
    (GAPPED | {"assertions": []}, "assertions is not a list with at least one entry"),
    (GAPPED | {"assertions": "a();"}, "assertions is not a list with at least one entry"),
    (GAPPED | {"assertions": ["a();", 3]}, "assertions is not a string"),
    (GAPPED | {"assertions": ["a();", " "]}, "assertions is blank"),
    (GAPPED | {"assertions": ["a();"] * 251}, "assertions are together longer than 1000 characters"),
]


@pytest.mark.parametrize(("line", "reason"), BAD, ids=[f"{n}-{reason}" for n, (_, reason) in enumerate(BAD)])
def test_a_bad_line_is_named_with_its_reason(path: Path, line: Any, reason: str) -> None:
    (_, first), (number, bad), (_, last) = read(path, LINE, line, LINE)
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert isinstance(bad, Rejection)
    assert (number, bad.file, bad.line, bad.reason) == (2, str(path), 2, reason)
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    assert 0 < len(bad.excerpt) <= 200
    assert raw.decode("utf-8", "replace").startswith(bad.excerpt)
    assert asdict(bad) == {"file": str(path), "line": 2, "reason": reason, "excerpt": bad.excerpt}


@pytest.mark.parametrize("content", [None, b"", b"\n \n"])
def test_a_file_without_lines_is_refused(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="no such file" if content is None else "holds no records") as caught:
        items_of(path)
    assert caught.value.problem.startswith(str(path))
