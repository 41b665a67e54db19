"""Validity and form of predictions: what the two parsers agree on, where they differ, and Java's own grammar.

Sections are those of the Java Language Specification, Java SE 25.
"""

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
    "Foo e = assertThrows(Foo.class, this::run);",
    "e = assertThrows(Foo.class, this::run);",
    "then(x).isNull();",
    "list.forEach(x -> assertTrue(x));",
    'mvc.perform(get("/")).andExpect(status().isOk());',
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


VALID_BY_SECTION = {
    "3.3 Unicode escapes": [
        r"f('\u0041');",
        r"f('\uuu0041');",
        r"\u0066();",
        r'f("\\u00g1");',
        r"f('\u005c'');",
        r"f('\u0000');",
        r"// \u000a f();",
    ],
    "3.4 line terminators": ["f(\r\n1\r);", "f(a // why\r);"],
    "3.9 keywords": ["int var = record;", "sealed = when;", "f(_ -> 1);", "f((_, x) -> 1);", "int _ = 1;", "with.f();"],
    "3.10.1 integers": [
        "f(2147483647, -2147483648, - 2147483648);",
        "f(9223372036854775807L, -9223372036854775808L, 2147483648l);",
        "f(0xFFFFFFFF, 0X1f, 0xFFFFFFFFFFFFFFFFL, 0x7fff_ffff);",
        "f(0, 00, 017, 037777777777, 01777777777777777777777L);",
        "f(0b11111111111111111111111111111111, 0B1_0, 0b111111111111111111111111111111111L);",
        "f(1_000, a - -2147483648);",
    ],
    "3.10.2 floating point": [
        "f(1.0, 1., .5, 1.f, 1f, 1d, 1e5, 1E+5, 1e-5D, 1_0.5_0, 09.5);",
        "f(0e-400, 0.0e999, 0x0p9999, 0f);",
        "f(1.7976931348623157e308, 4.9e-324, 3.4028235e38f, 1.4e-45f);",
        "f(0x1.8p1, 0x1p1f, 0x.8P-1, 0x1.p1, 0x1.fffffep127f);",
    ],
    "3.10.4 characters": [r"f('a', 'é', '\'', '\\', '\n', '\s', '\0', '\377', '\47', '\"');"],
    "3.10.5 strings": [r'f("", "\"", "\\", "\t\s\0\378", "é😀", "//", "/*");', 'f("a\tb");'],
    "3.10.6 text blocks": [
        'f("""\na""");',
        'f("""  \r\n  a \\\n  b""");',
        'f("""\na " b "" c \\""" d\n """);',
        'f("""\n  {"a": "b"}""", """\n""");',
    ],
    "4.5.1 type arguments": ["List<int[]> x = y;", "A<?, ? super B<C>> x;", "f(new A<>() {}, new B.C<>());"],
    "10.6 arrays": ["int[] x = {1, 2,};", "int x[] = {};", "int[] x[] = {{}, {1}}, y;", "f(new A[] {,});"],
    "14.3 local classes": ["{ final class A {} f(); }", "{ enum A { B } record C(int x) {} interface D {} f(); }"],
    "14.4 local variables": [
        "final @A int x = 1;",
        "var x = 1;",
        "int x, y = 1;",
        "for (var x : y) f();",
        "f((var x, var y) -> 1);",
    ],
    "14.7 labels": ["a: f();", "a: b: { int x = 1; }"],
    "14.8 expression statements": ["x = 1;", "++x;", "x--;", "(x)++;", "f();", "new A();", "a.b[0].c += d;"],
    "14.9 to 14.13": ["if (x) ; else if (y) f(); else g();", "while (x) ;", "do { } while (x);"],
    "14.11 switch": [
        "switch (x) { }",
        "switch (x) { case 1: case 2, 3: int y = 1; default: f(); }",
        "switch (x) { case 1 -> f(); case 2 -> { } default -> throw y; }",
        "{ switch (x) { }; f(); }",
    ],
    "14.14 for": [
        "for (;;) ;",
        "for (int i = 0, j = 1; i < j; i++, --j) f();",
        "for (i = 0, f(); ; new A()) f();",
        "for (final A a : b) f();",
    ],
    "14.15 to 14.18": ["break;", "break a;", "continue;", "return;", "return x;", "throw x;"],
    "14.20 try": [
        "try { } finally { }",
        "try { } catch (final A | b.B e) { } catch (C _) { } finally { }",
        "try (A a = b; var c = d; e; this.f) { }",
    ],
    "14.21 yield": ["x = switch (y) { case 1: yield 1; default: { yield 2; } };"],
    "15.8 primaries": ["f(this, A.this, a.B.this, int.class, void.class, a.B[].class);", "(a).f();", '"a".f();'],
    "15.9 object creation": ["new <A>B();", "a.new B<>();", "f(new A() { int x; { x = 1; } int y() { return x; } });"],
    "15.10 array creation": ["f(new int[1], new A[1][], new int[][] {{1}}, new int[] {1}[0], new A[2].length);"],
    "15.12 method invocation": [
        "super.f();",
        "A.super.f();",
        "this.<A>f();",
        "A.<B, C[]>f();",
        "a.yield();",
        "f(super.x, A.super.x);",
    ],
    "15.13 method references": [
        "f(A::b, A::new, int[]::new, A<B>::new, a.B::new, A::<B>c, int[]::clone);",
        "f(this::a, super::a, A.super::b, a()::b);",
    ],
    "15.15 unary": ["f(-x++, !x--, (int) x++, - -x, -++x, +-x, ~(x), ++a[0], --a.b);"],
    "15.16 casts": ["f((A) !x, (A) -x, (int) -x, (int) ++x, (A & B) x, (A[]) x, (A<B>) x, (A) () -> 1);"],
    "15.20 instanceof": ["f(x instanceof A, x instanceof A<?> y && y.b(), x instanceof final A y, x instanceof A[]);"],
    "15.25 conditional": ["f(a ? b = c : d, a ? b : x -> y, a ? b : c ? d : e);"],
    "15.26 assignment": ["a = b = c;", "f(a += b >>>= c, (a = b) + 1);", "f().x = 1;", "this.x = 1;"],
    "15.27 lambda": [
        "f(() -> {}, x -> y -> z, (x, y) -> x, (int x, A... y) -> { return x; }, () -> x = y, (final A x) -> x++);"
    ],
    "15.28 switch expressions": ["f(1 + switch (x) { case 1 -> 1; default -> throw y; });"],
}
INVALID_BY_SECTION = {
    "3.3 Unicode escapes": [
        r"f('\u00g1');",
        r'f("\u000a");',
        r"f('\u0027');",
        r"f(1); /* \u002a\u002f } void g() { /* */",
    ],
    "3.9 keywords": [
        "f(class);",
        "int true = 1;",
        "int goto = 1;",
        "f(enum -> 1);",
        "a.if();",
        "break class;",
        "extends A;",
        "_ = 1;",
        "f(_);",
        "int _;",
        "f(super);",
        "f(new var());",
        "f((var) x);",
        "List<var> x = y;",
        "yield();",
        "switch (x) { case default: f(); }",
    ],
    "3.10.1 integers": [
        "f(2147483648);",
        "f(-(2147483648));",
        "f(a - 2147483648);",
        "f(+2147483648);",
        "f(-2147483649);",
        "f(9223372036854775808L);",
        "f(-9223372036854775809L);",
        "f(0x1FFFFFFFF);",
        "f(0x1FFFFFFFFFFFFFFFFL);",
        "f(047777777777);",
        "f(0b111111111111111111111111111111111);",
        "f(0b12);",
        "f(08);",
        "f(0o17);",
        "f(0x);",
        "f(0x_1);",
        "f(1_);",
        "f(1_L);",
    ],
    "3.10.2 floating point": [
        "f(1e309);",
        "f(1e-400);",
        "f(1.7976931348623159e308);",
        "f(2e-324);",
        "f(3.4028236e38f);",
        "f(1e-46f);",
        "f(0x1.8);",
        "f(0x1.8f);",
        "f(0x1p1024);",
        "f(0x1p-1080);",
        "f(0x1p128f);",
        "f(1e);",
        "f(1_.5);",
    ],
    "3.10.4 characters": [
        "f('ab');",
        "f('');",
        "f(''');",
        r"f('\q');",
        r"f('\400');",
        "f('\n');",
        "f('\\\n');",
        "f('😀');",
    ],
    "3.10.5 strings": [
        'f("a\nb");',
        'f("a\rb");',
        'f("a\\\nb");',
        r'f("\q");',
        r'f("\8");',
        r'f("\x41");',
        r'f("\{x}");',
        'f(a."b");',
    ],
    "3.10.6 text blocks": [
        'f("""a""");',
        'f("""""");',
        'f("""a\n""");',
        'f("""\n\\q""");',
        'f("""\n\\{x}""");',
    ],
    "4.5.1 type arguments": ["List<int> x = y;", "new A<int>();", "List<> x = y;", "f((A<>) x);", "A.<>f();"],
    "8.4.1 parameters": [
        "f((int... x, int y) -> 1);",
        "f((static int x) -> 1);",
        "f((A this) -> 1);",
        "f((var x, int y) -> 1);",
    ],
    "10.6 arrays": ["int x = {1};", "f({1});", "f(new int[]);", "f(new int[1] {1});", "f(new A<>[1]);"],
    "14.3 local classes": [
        "{ static class A {} f(); }",
        "{ private record A() {} f(); }",
        "{ @interface A {} f(); }",
        "{ import a.b; f(); }",
    ],
    "14.4 local variables": [
        "static int x = 1;",
        "public int x;",
        "final final int x = 1;",
        "void x;",
        "var x;",
        "var x = 1, y = 2;",
        "var x[] = y;",
        "var x = {1};",
        "final f();",
        "@A f();",
    ],
    "14.5 statements": [
        "if (x) int y = 1;",
        "if (x) ; else class A {}",
        "while (x) int y = 1;",
        "a: int x = 1;",
        "do int x = 1; while (y);",
    ],
    "14.8 expression statements": [
        "x;",
        "a.b;",
        "a[0];",
        "1 + 2;",
        "!f();",
        "-x++;",
        "(x++);",
        "(f());",
        "(A) f();",
        "f() == 1;",
        "x ? f() : g();",
        "new int[1];",
        "A.class;",
        "this;",
        "super;",
        "super();",
        "this();",
        '"a";',
        "A::b;",
        "x -> y;",
        "if (x) y;",
        "f(() -> { x; });",
        "f(new A() { int b() { x; } });",
    ],
    "14.9 if": ["if () f();", "if x f();", "if (x) f(); else g(); else h();", "else f();"],
    "14.11 switch": [
        "switch (x) { };",
        "switch (x) { case: f(); }",
        "switch (x) { f(); }",
        "switch (x) { case 1 -> 1; }",
        "switch (x) { case 1 -> return; }",
        "switch (x) { case 1: f(); default -> g(); }",
        "switch (x) { case y = 1: f(); }",
        "case 1: f();",
    ],
    "14.14 for": [
        "for (x; ; ) f();",
        "for (; ; x + 1) f();",
        "for (static int i = 0; ; ) f();",
        "for (x : y) f();",
        "for (void x : y) f();",
    ],
    "14.15 to 14.18": ["break 1;", "break a b;", "continue 1;", "throw;", "goto a;"],
    "14.20 try": [
        "try { }",
        "try { } catch (E) { }",
        "try { } catch (int e) { }",
        "try { } catch (E[] e) { }",
        "try { } catch (static E e) { }",
        "try { } finally { } catch (E e) { }",
        "try () { }",
        "try (f()) { }",
        "try (this) { }",
        "try (static A a = b) { }",
    ],
    "15.8 primaries": ["f(f().this);", "f(this.this);", "f(A<B>.class);", "f(int.b);", "f(x.class());", "f(());"],
    "15.9 object creation": [
        "new A;",
        "new int();",
        "new void();",
        "a.new b.C();",
        "new <>A();",
        "new A() { A() {} };",
    ],
    "15.12 method invocation": [
        "<A>f();",
        "f<A>();",
        "A.<?>f();",
        "this.super.f();",
        "f().super.g();",
        "f(1,);",
        "f(int);",
    ],
    "15.13 method references": [
        "f(A::class);",
        "f(int::new);",
        "f(int::a);",
        "f(a()::new);",
        "f(this::new);",
        "f(A<>::new);",
        "f(A::<>b);",
    ],
    "15.15 unary": [
        "++1;",
        "f()++;",
        "++this;",
        "x++++;",
        "++x++;",
        "++ ++x;",
        "f(-1++);",
        "f(--5);",
        "f(1 +);",
        "f(* 1);",
    ],
    "15.16 casts": ["f((void) x);", "f((A) ++x);", "f((int & A) x);", "f((int) a = b);"],
    "15.20 instanceof": [
        "f(x instanceof int);",
        "f(x instanceof final A);",
        "f(x instanceof A.class);",
        "f(x instanceof var);",
    ],
    "15.25 conditional": ["f(x ? y);", "f(x ?: y);", "f(a ? b : c = d);"],
    "15.26 assignment": [
        "1 = x;",
        "f() = x;",
        "this = x;",
        "a.this = x;",
        "x + y = z;",
        "!x = y;",
        "f(a + b = c);",
        "new int[1] = x;",
    ],
    "15.27 lambda": [
        "f(a + x -> y);",
        "f(!x -> y);",
        "f(1 -> x);",
        "f((a.b) -> x);",
        "f(() -> class);",
        "f((x, int y) -> 1);",
    ],
    "15.28 switch expressions": ["x = switch (y) { };", "f(switch (x) { case 1 -> return; });"],
}


@pytest.mark.parametrize(("section", "texts"), VALID_BY_SECTION.items())
def test_what_the_language_specification_allows_is_valid(section: str, texts: list[str]) -> None:
    assert [text for text in texts if syntax_validity(text) == 0.0] == []


@pytest.mark.parametrize(("section", "texts"), INVALID_BY_SECTION.items())
def test_what_the_language_specification_forbids_is_invalid(section: str, texts: list[str]) -> None:
    assert [text for text in texts if syntax_validity(text) == 1.0] == []


@pytest.mark.parametrize("text", ["assertTrue;", "assertThat(x).isTrue;", "fail('ab');", "assertTrue(class);"])
def test_what_is_no_statement_has_not_the_form_of_an_assertion(text: str) -> None:
    assert assertion_form(text) == 0.0
