"""What of a record is compiled: files, names, and which texts are accepted as an assertion."""

import pytest

from assertkd.evaluation.execution.units import asserts, is_whole_statement, subject_of
from assertkd.records import MARKER, Record
from assertkd.synthetic import generate

TEST = f"""package org.example;

import org.junit.Test;

class Helper {{ }}

public class QueueTest {{
    static class Inner {{
        @Test public void adds() {{
            {MARKER}
        }}
    }}
}}
"""


def record(**extra: object) -> Record:
    return Record("r", "int f() { return 1; }", f"void t() {{ {MARKER}\n }}", "assertTrue(x);", extra=extra)


def test_names_and_files_are_read_from_the_sources() -> None:
    source = "package org.example;\nclass A { }\n/** Doc. */ @Deprecated public final class Queue { }\n"
    subject = subject_of(record(test_source=TEST, class_source=source))
    assert subject is not None
    assert subject.test_class == "org.example.QueueTest$Inner"
    assert subject.test_method == "adds"
    assert subject.test_file == "org/example/QueueTest.java"
    assert subject.filled("assertTrue(x);")[subject.test_file].count("assertTrue(x);") == 1
    assert subject.tested == {"org/example/Queue.java": source}


def test_what_is_compiled_is_what_the_check_sees() -> None:
    subject = subject_of(record(test_source=TEST))
    assert subject is not None
    text = r"assert\u0054rue(c == '\u0000' || s == \u0022\\u0041\u0022); /* \\u002a */"
    [source] = subject.filled(text).values()
    assert r"assertTrue(c == '\000' || s == " + '"' + r"\\u0041" + '"' + r"); /* \\u002a */" in source


def test_the_class_under_test_may_be_absent() -> None:
    subject = subject_of(record(test_source=TEST))
    assert subject is not None
    assert subject.tested == {}


@pytest.mark.parametrize("source", [None, 3, "class A { }", TEST + MARKER, f"class A {{ int x = 1; {MARKER}\n }}"])
def test_a_record_without_a_test_to_fill_cannot_be_run(source: object) -> None:
    assert subject_of(record(test_source=source)) is None


def test_generated_records_carry_their_names() -> None:
    for one in generate(40, 5):
        subject = subject_of(one)
        assert subject is not None
        package = one.extra["class_source"].partition(";")[0].removeprefix("package ")
        assert subject.test_class == f"{package}.{one.extra['test_class_name']}"
        assert list(subject.tested) == [f"{package.replace('.', '/')}/{one.extra['class_name']}.java"]
        assert f"void {subject.test_method}(" in one.test_method


@pytest.mark.parametrize(
    "text",
    [
        "assertTrue(x);",
        "assertTrue(x); assertFalse(y);",
        "int a = 1;\nassertEquals(1, a);",
        "for (int i = 0; i < 3; i++) { assertTrue(i < 3); }",
        "assertTrue(x); // why",
        r"assertTrue(x); /* \\u002a\\u002f } public void other() { /* */",
        r"assert\u0054rue(x);",
        r"assertEquals('\u0000', c);",
    ],
)
def test_whole_statements_are_let_in(text: str) -> None:
    assert is_whole_statement(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        ";",
        "{ }",
        "// assertTrue(x);",
        "/* assertTrue(x); */",
        "assertTrue(x)",
        "assertTrue(x",
        "/* assertTrue(x);",
        "} public void other() {",
        "assertTrue(x); } @Test public void other() { assertTrue(y);",
        "}}} class Evil { static { System.exit(0); } } class Rest { void f() { {",
        'assertEquals("a, x);',
        "assertTrue(x);" * 2000,
        r"assertTrue(x); /* \u002a\u002f } public void other() { /* */",
        r"assertTrue(x); // \uuu000a } public void other() { //",
        "assertTrue(x); // \r } public void other() { //",
        r"assertTrue(x); /* \u005cu002a\u005cu002f } public void other() { /* */",
    ],
)
def test_texts_that_are_no_whole_statements_are_kept_out(text: str) -> None:
    assert not is_whole_statement(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("assertTrue(x);", True),
        ("org.junit.Assert.assertTrue(x);", True),
        ("int a = 1; assertEquals(1, a);", True),
        ("assert x;", True),
        ("System.exit(0);", False),
        ("int a = 1;", False),
        ('String s = "assertTrue(x);";', False),
        ("while (true) { }", False),
    ],
)
def test_only_assertions_can_pass(text: str, expected: bool) -> None:
    assert asserts(text) is expected
