"""Sources of mined records, read back from their project."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from assertkd.corpus.visible_answers import apply_visible_answer_policy
from assertkd.evaluation.execution.units import subject_of, with_sources
from assertkd.records import MARKER, Record

TEST = """package org.example;

public class QueueTest {
    // größer
    @Test
    public void adds() {
        queue.add(1);
        assertEquals(1, queue.size());
        assertFalse(queue.isEmpty());
    }

    @Test public void other() { assertEquals(1, queue.size()); }
}
"""
QUEUE = "package org.example;\npublic class Queue { public int size() { return n; } }\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src/QueueTest.java").write_text(TEST, encoding="utf-8")
    (folder / "src/Queue.java").write_text(QUEUE, encoding="utf-8")
    (tmp_path / "Outside.java").write_text(QUEUE, encoding="utf-8")
    return folder


def record(**extra: object) -> Record:
    method = f"@Test\npublic void adds() {{\n    queue.add(1);\n    {MARKER}\n    assertFalse(queue.isEmpty());\n}}"
    return Record("r", "public int size() { return n; }", method, "assertEquals(1, queue.size());", "p", dict(extra))


def test_sources_are_read_and_the_placeholder_is_set(checkout: Path) -> None:
    found = with_sources(record(test_file="src/QueueTest.java", focal_file="src/Queue.java", line=8), checkout)
    assert found.extra["class_source"] == QUEUE
    assert found.extra["line"] == 8
    source = found.extra["test_source"]
    assert source.replace(MARKER, found.assertion).split() == TEST.split()
    subject = subject_of(found)
    assert subject is not None
    assert (subject.test_class, subject.test_method) == ("org.example.QueueTest", "adds")


def test_what_a_record_carries_itself_stays(checkout: Path) -> None:
    found = with_sources(record(test_file="src/QueueTest.java", test_source="mine", class_source="mine too"), checkout)
    assert (found.extra["test_source"], found.extra["class_source"]) == ("mine", "mine too")


@pytest.mark.parametrize("file", ["src/Absent.java", "../Outside.java", "src", 7, None])
def test_files_that_cannot_be_read_are_left_out(checkout: Path, file: object) -> None:
    assert set(with_sources(record(focal_file=file), checkout).extra) == {"focal_file"}


def test_a_test_that_has_changed_is_left_out(checkout: Path) -> None:
    (checkout / "src/QueueTest.java").write_text(TEST.replace("queue.add(1)", "queue.add(2)"), encoding="utf-8")
    assert "test_source" not in with_sources(record(test_file="src/QueueTest.java"), checkout).extra


def test_a_test_whose_shown_assertion_is_masked_is_found_by_its_name_and_line(checkout: Path) -> None:
    twice = TEST.replace("queue.add(1);", "assertEquals(1, queue.size()); // assertEquals(1, queue.size());")
    (checkout / "src/QueueTest.java").write_text(twice, encoding="utf-8")
    test = twice[twice.index("@Test") : twice.index("    @Test public")].strip().replace("\n    ", "\n")
    cut = test.replace("\n    assertEquals(1, queue.size());\n", f"\n    {MARKER}\n")
    mined = replace(record(test_file="src/QueueTest.java", test_name="QueueTest.adds", line=8), test_method=cut)
    shown, kind = apply_visible_answer_policy(mined.test_method, mined.assertion, "mask")
    assert (kind, shown.count("masked")) == ("statement elsewhere", 2)
    masked = replace(mined, test_method=shown)
    subject = subject_of(with_sources(masked, checkout))
    assert subject is not None
    assert (subject.test_class, subject.test_method) == ("org.example.QueueTest", "adds")
    assert shown in subject.test_source
    for other in ({"test_name": "QueueTest.other"}, {"line": 9}, {"line": None}):
        elsewhere = replace(masked, extra=masked.extra | other)
        assert "test_source" not in with_sources(elsewhere, checkout).extra, other


def test_of_equal_tests_the_one_on_the_records_line_is_run(checkout: Path) -> None:
    method = "@Test public void adds() { assertEquals(1, queue.size()); }"
    source = f"package p;\nclass A {{\n  class B {{\n    {method}\n  }}\n  class C {{\n    {method}\n  }}\n}}\n"
    (checkout / "src/A.java").write_text(source, encoding="utf-8")
    cut = method.replace("assertEquals(1, queue.size());", f"{MARKER}\n")
    for line, test_class in ((4, "p.A$B"), (7, "p.A$C"), (None, "p.A$B"), (99, "p.A$B"), ("7", "p.A$B")):
        extra = {"test_file": "src/A.java", "line": line}
        mined = Record("r", "int f() {}", cut, "assertEquals(1, queue.size());", "p", extra)
        subject = subject_of(with_sources(mined, checkout))
        assert subject is not None
        assert subject.test_class == test_class


def test_a_class_behind_the_public_one_is_compiled_in_its_file(checkout: Path) -> None:
    source = TEST + f"class EdgeTest {{ @Test public void adds() {{ {MARKER}\n }} }}\n"
    subject = subject_of(record(test_source=source))
    assert subject is not None
    assert (subject.test_file, subject.test_class) == ("org/example/QueueTest.java", "org.example.EdgeTest")


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbf" + TEST.encode(), TEST.encode("latin-1"), TEST.encode() + b"\x1a"])
def test_any_encoding_is_read_as_it_was_mined(checkout: Path, raw: bytes) -> None:
    (checkout / "src/QueueTest.java").write_bytes(raw)
    found = with_sources(record(test_file="src/QueueTest.java"), checkout).extra["test_source"]
    assert found.replace(MARKER, "assertEquals(1, queue.size());").split() == TEST.split()


def test_links_out_of_the_checkout_and_pipes_are_not_read(checkout: Path) -> None:
    (checkout / "Link.java").symlink_to("../Outside.java")
    os.mkfifo(checkout / "Pipe.java")
    for file in ("Link.java", "Pipe.java"):
        assert set(with_sources(record(focal_file=file), checkout).extra) == {"focal_file"}
