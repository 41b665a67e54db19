"""Validity and form of predictions: what the two parsers agree on, where they differ, and known pitfalls."""

import javalang
import pytest

from assertkd.metrics.assertion_form import assertion_form
from assertkd.metrics.ast_validity import MAXIMUM_CHARACTERS, ast_validity
from assertkd.metrics.syntax_validity import syntax_validity

ASSERTIONS = [
    "assertTrue(x);",
    "assertEquals(3, list.size());",
    'assertEquals("a;b}", map.get("{"));',
    "org.junit.Assert.assertArrayEquals(new int[] {1, 2}, a);",
    "assertThat(x).isNotNull().isEqualTo(y);",
    "Assertions.<Foo>assertThat(x).isTrue();",
    "assertThrows(Foo.class, () -> { bar(); baz(); });",
    "assertAll(() -> assertTrue(x), () -> assertFalse(y));",
    "assertEquals(1, new Foo() { int bar() { return 1; } }.bar());",
    "verify(mock, times(2)).run();",
    "thrown.expect(Foo.class);",
    "fail();",
    "assert x > 1;",
    "assertTrue(x); // why",
    "/* why */ assertTrue(x);",
    "assertEquals('\\'', c);",
    "assertEquals(x > 0 ? (List<String>) a : b, c[0].d);",
]
OTHER_STATEMENTS = ["int x = 1;", "x = 1;", "foo(assertTrue(x));", "return;", "if (x) fail();", "{ assertTrue(x); }"]
INVALID = [
    "",
    "   ",
    ";",
    "{}",
    "{ ; }",
    "label: ;",
    "// only a comment",
    "} void u() {",
    "assertTrue(x); }",
    "{ assertTrue(x);",
    "assertTrue(x); } { assertTrue(y);",
    "assertTrue(x); } } class B { void m() { assertTrue(y);",
    "assertTrue(x)",
    "assertTrue(x;",
    "assertTrue(x));",
    'assertEquals("a, x);',
    "assertTrue(x); assertTrue(y);",
    "assertTrue(x);;",
    "assertTrue(x); /*",
    "class B {}",
    "import a.b;",
    "assertTrue x;)",
    "@A(",
    "a" * MAXIMUM_CHARACTERS + "();",
]


@pytest.mark.parametrize("text", ASSERTIONS + OTHER_STATEMENTS)
def test_both_parsers_accept_one_statement(text: str) -> None:
    assert ast_validity(text) == 1.0
    assert syntax_validity(text) == 1.0
    # The same judged without our rule: the statement in a class and a method.
    members = javalang.parse.parse("class A { void m() { " + text + "\n} }").types[0].body
    assert len(members) == 1
    assert len(members[0].body) == 1


@pytest.mark.parametrize("text", INVALID, ids=lambda text: ascii(text[:30]))
def test_both_parsers_refuse_what_is_not_one_statement(text: str) -> None:
    assert ast_validity(text) == 0.0
    assert syntax_validity(text) == 0.0
    assert assertion_form(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "assertArrayEquals(a, list.toArray(String[]::new));",
        'assertEquals("""\n  text\n  """, x);',
        "assertEquals(1, switch (x) { case 1 -> 1; default -> 2; });",
        "assertTrue(x instanceof Foo foo && foo.bar());",
    ],
)
def test_recent_java_is_known_to_one_parser_alone(text: str) -> None:
    assert ast_validity(text) == 0.0
    assert syntax_validity(text) == 1.0
    assert assertion_form(text) == 1.0


@pytest.mark.parametrize("text", ASSERTIONS)
def test_assertions_have_the_form(text: str) -> None:
    assert assertion_form(text) == 1.0


@pytest.mark.parametrize(
    "text", [*OTHER_STATEMENTS, "foo();", "new AssertFoo();", "assertion.foo;", "failing();", "assertTrue.foo();"]
)
def test_other_statements_have_not(text: str) -> None:
    assert assertion_form(text) == 0.0


def test_deep_nesting_is_invalid_to_the_recursive_parser() -> None:
    assert ast_validity("f(" * 400 + ")" * 400 + ";") == 0.0
    assert ast_validity("f(" * 10 + ")" * 10 + ";") == 1.0


def test_non_ascii_text_keeps_its_place() -> None:
    assert syntax_validity('assertEquals("日本é", x);') == ast_validity('assertEquals("日本é", x);') == 1.0
    assert syntax_validity('assertEquals("日本é", x); }') == 0.0
