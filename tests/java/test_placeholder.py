"""Cutting an assertion out and putting it back."""

import pytest

from assertkd.java.declarations import read_declarations
from assertkd.java.placeholder import code_at, cut_assertion
from assertkd.java.source import leaves, normalised, parse
from assertkd.records import MARKER


def tokens(method: str) -> list[str]:
    """Return the tokens of a method, which must parse inside a class."""
    root = parse(f"class Holder {{\n{method}\n}}".encode()).root_node
    assert not root.has_error, method
    return [leaf.text.decode() for leaf in leaves(root) if leaf.text]


METHODS = [
    "    @Test\n    public void a() {\n        int n = f();\n        assertEquals(1, n);\n    }",
    "@Test void a() { assertEquals(1, f()); assertTrue(b); }",
    "\t@Test void a() {\n\t\tassertEquals(1,\n\t\t\tf());   // why\n\t\tassertTrue(\n\t\t\tx); /* then */ run();\n\t}",
    "  @Test void a() {\n    if (x) assertTrue(x); else f();\n    for (int n : a)\n      assertEquals(n, 1);\n  }",
    "  @Test void a() { all.forEach(n -> { assertEquals(n, f(n)); });\n  }",
    '  @Test void a() {\n    assertEquals("""\n      one\n        two""", f());\n  }',
    "  @Test void ä() {\n    assertEquals(\"é→\", f(\"ü\"));\n    assert b : \"ß\"; }",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_the_assertion_put_back_gives_the_tokens_of_the_test(method: str) -> None:
    source = f"class A {{\n{method}\n}}\n".encode()
    file = read_declarations(source, "A.java")
    (test,) = file.classes[0].tests
    assert test.assertions
    for assertion in test.assertions:
        cut, text = cut_assertion(source, test.span, assertion.span)
        assert cut.count(MARKER) == 1
        assert text not in cut or cut.count(text) < method.count(text)
        assert tokens(cut.replace(MARKER, text)) == tokens(method)
        line = next(line for line in cut.splitlines() if MARKER in line)
        assert line.strip().startswith(MARKER), "nothing but comments shares the marker's line"
        assert line.split(MARKER)[1].strip()[:2] in ("", "//", "/*")


def test_indentation_goes() -> None:
    source = b"class A {\n    @Test\n    void a() {\n        assertEquals(1,\n            2);\n    }\n}\n"
    (test,) = read_declarations(source, "A.java").classes[0].tests
    cut, text = cut_assertion(source, test.span, test.assertions[0].span)
    assert cut == f"@Test\nvoid a() {{\n    {MARKER}\n}}"
    assert text == "assertEquals(1,\n    2);"
    assert code_at(source, test.span).splitlines()[1:3] == ["void a() {", "    assertEquals(1,"]


def test_source_of_any_encoding_and_line_end_is_read() -> None:
    assert normalised(b"\xef\xbb\xbfa\r\nb\rc\n") == b"a\nb\nc\n"
    assert normalised("é".encode("latin-1")) == "é".encode()
    assert normalised(b"a\r\n\x1a") == b"a\n"


@pytest.mark.parametrize(
    ("behind", "left"),
    [
        (" // why\n    run();", "\n    run();"),
        (" /* why,\n as above */\n    run();", "\n    run();"),
        (" /* first */ y.close();\n    int z = f(); /* second */\n    run();", None),
        (" /* first */ /* second */\n    run();", None),
    ],
)
def test_nothing_but_a_trailing_comment_is_removed(behind: str, left: str | None) -> None:
    source = f"class A {{\n@Test void a() {{\n    assertEquals(1, x);{behind}\n}}\n}}\n".encode()
    (test,) = read_declarations(source, "A.java").classes[0].tests
    cut, _ = cut_assertion(source, test.span, test.assertions[0].span, keep_comment=False)
    kept, _ = cut_assertion(source, test.span, test.assertions[0].span)
    assert cut == (kept if left is None else f"@Test void a() {{\n    {MARKER}{left}\n}}")
