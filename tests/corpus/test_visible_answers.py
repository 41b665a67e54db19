"""Tests that show their own assertion: found however it is laid out, counted by kind, and masked on request."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.corpus.params import PrepareCorpusParams, Reading
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.corpus.read import ReadRecord, Rejection, read_raw
from assertkd.corpus.visible_answers import (
    COMMENT,
    MARKER_LINE,
    STATEMENT,
    STRING,
    UNMARKED,
    find_visible_answers,
    masked,
    plainest_kind,
)
from assertkd.records import MARKER, read_records
from assertkd.settings import DataSettings, TokenizerSettings

GOLD = "assertEquals(0, c.size());"


@pytest.mark.parametrize(
    ("statement", "kind", "hidden"),
    [
        (GOLD, STATEMENT, "/* masked */;"),
        ("assertEquals( 0,\n   c . size() ) ;", STATEMENT, "/* masked */;"),
        ("Assert.assertEquals(0, c.size());", STATEMENT, "/* masked */;"),
        ("org.junit.Assert.assertEquals(0, /* none */ c.size());", STATEMENT, "/* masked */;"),
        ("assertEquals(0, /* assertEquals(0, c.size()) */ c.size());", STATEMENT, "/* masked */;"),
        ("run(() -> assertEquals(0, c.size()));", STATEMENT, "run(() -> /* masked */);"),
        ("// expected: assertEquals(0, c.size())", COMMENT, "// expected: masked"),
        ("/* assertEquals(0,c.size()); */", COMMENT, "/* masked; */"),
        ('log("assertEquals(0, c.size());");', STRING, 'log("masked;");'),
    ],
)
def test_a_shown_assertion_is_found_and_masked(statement: str, kind: str, hidden: str) -> None:
    test = f"void t() {{\n    {statement}\n    {MARKER}\n}}"
    shown = find_visible_answers(test, GOLD)
    assert plainest_kind(shown) == kind
    assert masked(test, shown) == f"void t() {{\n    {hidden}\n    {MARKER}\n}}"


def test_what_stands_behind_the_marker_is_masked_there() -> None:
    test = f"void t() {{\n    {MARKER} {GOLD}\n}}"
    shown = find_visible_answers(test, GOLD)
    assert plainest_kind(shown) == MARKER_LINE
    assert masked(test, shown) == f"void t() {{\n    {MARKER} masked;\n}}"


@pytest.mark.parametrize(
    "statement", [f"assertEquals(0, c.size())\n{MARKER}\n;", f"assertEquals(0,\n{MARKER}\nc.size());"]
)
def test_a_marker_within_a_masked_statement_stays(statement: str) -> None:
    test = f"void t() {{ {statement} }}"
    answers = find_visible_answers(test, GOLD)
    assert plainest_kind(answers) == STATEMENT
    assert masked(test, answers) == f"void t() {{ /* masked */;\n{MARKER}\n }}"


PARTS = (GOLD, GOLD[:-1], "f();", "Assert.", *"\"'\\;{}(\n ", '"""', "//", "/*", "*/")


@given(st.lists(st.sampled_from(PARTS), max_size=12), st.lists(st.sampled_from(PARTS), max_size=12))
def test_a_masked_test_shows_nothing_and_has_its_marker(before: list[str], behind: list[str]) -> None:
    test = f"void t() {{ {''.join(before)}{MARKER}{''.join(behind)} }}"
    hidden = masked(test, find_visible_answers(test, GOLD))
    assert hidden.count(MARKER) == 1
    assert find_visible_answers(hidden, GOLD) == []


@pytest.mark.parametrize(
    "statement",
    ["assertEquals(1, c.size());", "assertEquals(0, c.sizes());", "xassertEquals(0, c.size());", "// assertEquals(0,"],
)
def test_another_statement_is_not_the_assertion(statement: str) -> None:
    assert find_visible_answers(f"void t() {{\n    {statement}\n    {MARKER}\n}}", GOLD) == []


def test_a_statement_of_several_is_shown_too() -> None:
    test = f"void t() {{\n    assertTrue(x);\n    {MARKER}\n}}"
    assert plainest_kind(find_visible_answers(test, f"{GOLD}\nassertTrue(x);")) == STATEMENT


@pytest.mark.parametrize(
    ("test", "assertion"),
    [
        ("!" * 20_000, "!" * 10_000 + "x"),
        ("/* */" * 1_000 + "".join(f"f{n}();" for n in range(2_000)), "".join(f"f{n}();" for n in range(2_000))),
        ('/* "\\"\\' + '"\\' * 9_000 + " */ f();", "f();"),
    ],
)
def test_no_test_takes_long(test: str, assertion: str) -> None:
    start = time.process_time()
    assert bool(find_visible_answers(test, assertion)) == ("f" in assertion)
    assert time.process_time() - start < 2


def read(path: Path, line: dict[str, Any], **reading: Any) -> list[ReadRecord | Rejection]:
    path.write_text(json.dumps({"focal_method": "int size() { return n; }"} | line), encoding="utf-8")
    return list(read_raw(path, Reading(**reading)))


def methods_of(items: list[ReadRecord | Rejection]) -> list[str]:
    return [item.record.test_method for item in items if isinstance(item, ReadRecord)]


def test_the_marker_takes_the_place_of_the_assertion_in_a_test_without_one(tmp_path: Path) -> None:
    line = {"test_method": f"void t() {{\n  {GOLD}\n  g();\n  {GOLD}\n}}", "assertion": GOLD}
    items = read(tmp_path / "raw.jsonl", line, on_visible_answer="mask")
    assert methods_of(items) == [f"void t() {{\n  /* masked */;\n  g();\n  {MARKER}\n}}"]
    assert [item.shown for item in items if isinstance(item, ReadRecord)] == [UNMARKED]


def test_several_assertions_of_a_test_without_marker_stay_in_their_places(tmp_path: Path) -> None:
    line = {"test_method": f"void t() {{\n  {GOLD}\n  assertTrue(x);\n}}", "assertions": [GOLD, "assertTrue(x);"]}
    assert methods_of(read(tmp_path / "raw.jsonl", line, on_visible_answer="mask")) == [
        f"void t() {{\n  {MARKER}\n  assertTrue(x);\n}}",
        f"void t() {{\n  {GOLD}\n  {MARKER}\n}}",
    ]


@pytest.mark.parametrize("marker", [f"{MARKER}\n", ""])
def test_an_assertion_that_comes_twice_in_a_list_is_shown_by_the_first(tmp_path: Path, marker: str) -> None:
    line = {"test_method_masked": f"void t() {{\n    {marker}}}", "assertions": [GOLD, "foo();", GOLD]}
    third = "void t() {{\n    {}\n    foo();\n    " + f"{MARKER}\n}}}}"
    for treatment, test in (("keep", third.format(GOLD)), ("mask", third.format("/* masked */;"))):
        items = read(tmp_path / "raw.jsonl", line, on_visible_answer=treatment)
        assert [item.shown for item in items if isinstance(item, ReadRecord)] == [None, None, STATEMENT]
        assert methods_of(items)[2] == test
    *kept, third_item = read(tmp_path / "raw.jsonl", line, on_visible_answer="reject")
    assert len(methods_of(kept)) == 2
    assert isinstance(third_item, Rejection)
    assert third_item.reason == "test_method shows the assertion (statement elsewhere)"


def test_such_a_record_is_rejected_by_kind(tmp_path: Path) -> None:
    line = {"test_method": f"void t() {{\n  {GOLD}\n}}", "assertion": GOLD}
    (item,) = read(tmp_path / "raw.jsonl", line, on_visible_answer="reject")
    assert isinstance(item, Rejection)
    assert item.reason == "test_method shows the assertion (statement of a test without marker)"


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    """Return options of `data` for 60 records, of which every third shows its assertion, in a statement or comment."""
    lines = []
    for number in range(60):
        gold = f"assertEquals({number}, c.size{number}());"
        shown = ("", "", gold, "", "", f"// {gold}")[number % 6]
        lines.append(
            {
                "focal_method": f"int size{number}() {{ return n{number}; }}",
                "test_method": f"void t() {{\n  {shown}\n  {MARKER}\n}}",
                "assertion": gold,
            }
        )
    path = tmp_path / "raw.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return {"source": "files", "train_file": str(path)}


def prepared(data: dict[str, str], folder: Path, treatment: str) -> dict[str, Any]:
    settings = DataSettings.model_validate(data | {"on_visible_answer": treatment})
    params = PrepareCorpusParams(data=settings, tokenizer=TokenizerSettings(vocab_size=300), teacher="scratch")
    return prepare_corpus(params, folder)


def test_the_corpus_says_how_many_show_their_assertion(
    data: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quality = prepared(data, tmp_path / "corpus", "keep")
    of_splits = quality["visible_answers"].values()
    assert sum(quality["kept"].values()) == 60
    assert sum(one["records"] for one in of_splits) == 20
    assert sum(one.get(STATEMENT, 0) for one in of_splits) == sum(one.get(COMMENT, 0) for one in of_splits) == 10
    (warning,) = quality["warnings"]
    assert warning.startswith("20 of 60 records (33.3%; ")
    assert f"Warning: {warning}" in capsys.readouterr().err


def test_masked_records_are_all_kept_and_nobody_is_warned(
    data: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quality = prepared(data, tmp_path / "corpus", "mask")
    assert sum(quality["kept"].values()) == 60
    assert quality["warnings"] == []
    assert "Warning" not in capsys.readouterr().err
    for split in ("train", "validation", "test"):
        for record in read_records(tmp_path / "corpus" / f"{split}.jsonl"):
            assert find_visible_answers(record.test_method, record.assertion) == []


def test_rejected_records_are_counted_by_kind(data: dict[str, str], tmp_path: Path) -> None:
    quality = prepared(data, tmp_path / "corpus", "reject")
    assert sum(quality["kept"].values()) == 40
    assert {reason: entry["count"] for reason, entry in quality["rejected"].items()} == {
        "test_method shows the assertion (statement elsewhere)": 10,
        "test_method shows the assertion (comment)": 10,
    }
    assert quality["warnings"] == []


@pytest.mark.parametrize("treatment", ["keep", "mask", "reject"])
def test_generated_records_are_treated_alike(tmp_path: Path, treatment: str) -> None:
    embedded = {"source": "embedded", "embedded": {"records": 700}}
    quality = prepared(embedded, tmp_path / "corpus", treatment)
    kept = sum(one["records"] for one in quality["visible_answers"].values())
    rejected = sum(entry["count"] for reason, entry in quality["rejected"].items() if "shows the assertion" in reason)
    assert (kept > 0, rejected > 0) == (treatment != "reject", treatment == "reject")
