"""Which methods count as tests, and which of their statements as assertions."""

import pytest

from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import ProjectIndex
from assertkd.java.structure import JavaFile, JavaTest


def file_of(source: str, path: str = "src/test/java/p/FooTest.java") -> JavaFile:
    file = read_declarations(source.encode(), path)
    assert file.fault is None
    return file


def found_in(*sources: str) -> dict[str, JavaTest]:
    """Return the tests of some files of one project, by name."""
    files = [file_of(source, f"src/test/java/p/File{number}.java") for number, source in enumerate(sources)]
    index = ProjectIndex(files)
    return {
        test.name: test
        for file in files
        for declared in file.classes
        for test in declared.tests
        if index.framework(declared, test)
    }


FOUR = "import org.junit.Test;"
FIVE = "import org.junit.jupiter.api.*;"
NG = "import org.testng.annotations.*;"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (FOUR + "class A { @Test public void a() {} void b() {} }", {"a": "junit4"}),
        ("import org.junit.*; class A { @Test(expected = E.class) public void a() {} }", {"a": "junit4"}),
        (FIVE + "class A { @Test void a() {} @ParameterizedTest void b(int n) {} }", {"a": "junit5", "b": "junit5"}),
        (FIVE + "class A { @Nested class B { @RepeatedTest(3) void c() {} } }", {"c": "junit5"}),
        ("class A { @org.junit.jupiter.api.Test void a() {} }", {"a": "junit4"}),
        (NG + "class A { @Test public void a() {} @DataProvider public int[] d() { return x; } }", {"a": "testng"}),
        (NG + "@Test class A { public void a() {} void b() {} @BeforeMethod public void c() {} }", {"a": "testng"}),
        ("import junit.framework.TestCase; class A extends TestCase { public void testA() {} }", {"testA": "junit3"}),
        ("class A extends junit.framework.TestCase { public void testA() {} void testB() {} }", {"testA": "junit3"}),
        ("class A { public void testA() {} }", {}),
        ("class A extends TestCase { public void testA(int n) {} public int testB() { return 1; } }", {}),
        ("interface A { @Test void a(); }", {}),
        ("class A { @FastTest void a() {} } @Test @interface FastTest {}", {"a": "junit4"}),
        (FIVE + "class A { @Slow void a() {} } @Fast @interface Slow {} @Test @interface Fast {}", {"a": "junit5"}),
        ("class A { @Slow void a() { assertTrue(b); } @Test void b() {} } @Fast @interface Slow {}", {"b": "junit4"}),
        (FIVE + "class A { @CartesianTest void a(@Values(ints = 1) int n) {} }", {"a": "junit5"}),
        (FIVE + "class A { @RetryingTest(3) void a() {} }", {"a": "junit5"}),
        (FIVE + "class A { @Property void a(@ForAll int n) {} }", {"a": "junit5"}),
        (FIVE + "class A { @GithubIssue(3) void a() { assert b; } @Test void b() {} }", {"a": "junit5", "b": "junit5"}),
        (FIVE + "class A { @BeforeEach void a() { assert b; } @Test void b() {} @Slow void c() {} }", {"b": "junit5"}),
        (FIVE + "class A { @Slow int a() { assert b; } @Slow void b(int n) { assert b; } }", {}),
        ("class A extends org.lib.BaseCase { public void testA() {} }", {"testA": "junit3"}),
        ("class A extends Helper { public void testA() {} }", {}),
    ],
)  # fmt: skip
def test_the_tests_of_every_framework_are_found(source: str, found: dict[str, str]) -> None:
    assert {name: test.framework for name, test in found_in(source).items()} == found


def test_a_test_case_of_the_project_makes_tests_of_its_subclasses() -> None:
    base = "import junit.framework.TestCase; abstract class Base extends TestCase {}"
    assert set(found_in(base, "class A extends Base { public void testA() {} }")) == {"testA"}
    assert set(found_in("class Base {}", "class A extends Base { public void testA() {} }")) == set()


@pytest.mark.parametrize(
    ("source", "disabled"),
    [
        ("@Ignore @Test public void a() {}", True),
        ('@Test @Disabled("slow") public void a() {}', True),
        ("@Test(enabled = false) public void a() {}", True),
        ("@Test(enabled = true) public void a() {}", False),
        ("@Test public void a() {}", False),
    ],
)
def test_a_disabled_test_is_known(source: str, disabled: bool) -> None:
    assert found_in(f"class A {{ {source} }}")["a"].disabled is disabled


@pytest.mark.parametrize(
    ("statements", "kinds"),
    [
        ("assertEquals(1, n); Assert.assertTrue(b);", ["assertEquals", "assertTrue"]),
        ("assertThat(x).isNotNull().isEqualTo(assertThing());", ["assertThat"]),
        ("assert n > 0 : n;", ["assert"]),
        ("verify(mock, times(2)).run(); verifyNoMoreInteractions(mock);", ["verify", "verifyNoMoreInteractions"]),
        ("thrown.expect(IOException.class); thrown.expectMessage(\"x\");", ["expect", "expectMessage"]),
        ("expect(mock.run()).andReturn(1); fail();", []),
        ("assertThrows(E.class, () -> { run(); assertTrue(b); });", ["assertThrows"]),
        ("for (int n : all) { if (b) assertTrue(b); else { assertNull(n); } }", ["assertTrue", "assertNull"]),
        ("all.forEach(n -> { assertTrue(n); });", ["assertTrue"]),
        ("E e = assertThrows(E.class, this::run); int assertion = 1; asserted = true;", ["assertThrows"]),
        ("e = assertThrows(E.class, this::run); var a = assertThat(x); boolean b = verify(x);", ["assertThrows"]),
        ("all.forEach(n -> assertTrue(n)); all.forEach(n -> run(n));", ["assertTrue"]),
        ("await().untilAsserted(() -> assertEquals(1, n));", ["untilAsserted"]),
        ("await().atMost(5, SECONDS).until(() -> n == 1); with().await().untilAtomic(n, m);", ["until", "untilAtomic"]),
        ("lock.until(n); await().atMost(5, SECONDS); until(n);", []),
        ("expect.that(n).isEqualTo(1); assume().that(n).isNull(); mock.that(n).isNull();", ["that"]),
        ("then(n).isEqualTo(1); then(mock).should(times(2)).run(); BDDAssertions.then(n).isNull();", ["then"] * 3),
        ("future.then(n); future.then(n).run(); then(n);", []),
        ('mvc.perform(get("/")).andExpect(status().isOk()).andExpect(x);', ["andExpect"]),
        ('given().when().get("/").then().statusCode(200);', ["then"]),
        ('server.expect(requestTo("/")).andExpect(method(GET)).andRespond(withSuccess());', []),
        ("mock.run(); expectLastCall().andReturn(1); expectNew(Foo.class).andReturn(foo); expect(m.a()).once();", []),
        ('assertTrue("not reached", false); assertTrue(false); Assert.assertFalse("x", true); assert false;', []),
        ('assertTrue("false", b); assertEquals(false, b);', ["assertTrue", "assertEquals"]),
        ("softly.assertThat(n).isNull(); collector.checkThat(n, is(1));", ["assertThat", "checkThat"]),
    ],
)  # fmt: skip
def test_outermost_assertion_statements_are_found_in_their_order(statements: str, kinds: list[str]) -> None:
    file = file_of(f"class A {{ @Test public void a() {{ {statements} }} }}")
    (declared,) = file.classes
    found = Linker(ProjectIndex([file])).assertions(file, declared, declared.tests[0])[0]
    assert [assertion.kind for assertion in found] == kinds


@pytest.mark.parametrize(
    ("statements", "statement_count", "inner_count"),
    [
        ('return of(dynamicTest("a", () -> assertEquals(3, f())), dynamicTest("b", () -> { assertTrue(x); }));', 1, 1),
        ('return all().map(n -> dynamicTest("n" + n, () -> assertThat(assertTwice(n)).isEqualTo(n)));', 0, 1),
        ('tests.add(dynamicTest("a", () -> assertTrue(x))); tests.add(dynamicTest("b", () -> assertFalse(x)));', 0, 2),
        ("assertAll(() -> assertTrue(x), () -> assertFalse(y)); run(() -> { assertTrue(x); });", 2, 0),
        ("when(mock.verifyAll()).thenReturn(true); assertTrue(false); assertEquals(1, expectOne());", 1, 0),
        ("return verifier.verifyIt(1) ? verify(2) : 0;", 0, 1),
    ],
)  # fmt: skip
def test_assertions_that_are_no_statements_are_counted(statements: str, statement_count: int, inner_count: int) -> None:
    file = file_of(f"class A {{ Verifier verifier; @TestFactory Object a() {{ {statements} }} }}")
    verifier = read_declarations(b"class Verifier { boolean verifyIt(int n) { return n > 1; } }", "Verifier.java")
    (declared,) = file.classes
    found, inner = Linker(ProjectIndex([file, verifier])).assertions(file, declared, declared.tests[0])
    assert (len(found), inner) == (statement_count, inner_count)


def test_a_file_that_does_not_parse_has_a_fault_and_no_classes() -> None:
    file = read_declarations(b"class A { void a( { }", "A.java")
    assert (file.fault, file.classes) == ("does not parse", ())


UNKNOWN = [
    "switch (o) { case final Integer n -> run(); default -> run(); }",
    "if (o instanceof Events.Added(int n)) { run(); }",
    "try { run(); } catch (A | @Fatal B e) { }",
    'String s = "\\uuu0041";',
    "int n = §;",
    "foo(1, 2;",
]
"""Statements that the parser does not know."""


@pytest.mark.parametrize("statement", UNKNOWN)
def test_what_does_not_parse_costs_the_method_around_it_alone(statement: str) -> None:
    source = f"""package p;
    class A {{
        @Test public void first() {{ assertTrue(b); }}
        @Test public void odd() {{ {statement} assertTrue(b); }}
        int focal(int n) {{ {statement} return n; }}
        class B {{ @Test public void last() {{ assertTrue(b); }} }}
    }}"""
    file = read_declarations(source.encode(), "A.java")
    assert file.fault is None
    tests = {test.name: test for _, test in file.tests}
    sound = {name for name, test in tests.items() if test.parses}
    assert sound - {"odd"} == {"first", "last"}
    (focal,) = (method for method in file.classes[0].methods if method.name == "focal")
    text = source.encode()[focal.span.start : focal.span.end].decode()
    assert text == f"int focal(int n) {{ {statement} return n; }}"
    # The parser knows an escape with several `u` once it is shortened.
    assert ("odd" in sound) is ("uuu" in statement)


@pytest.mark.parametrize(
    "source",
    [
        "import module java.base; class A { int a() { return 1; } }",
        "class A { A(int n) { if (n < 0) throw e; super(); } int a() { return 1; } }",
        "class A { void all(@Nullable Object @Nullable ... more) { } int a() { return 1; } }",
        "class A { int n = ; int a() { return 1; } }",
    ],
)
def test_constructs_outside_methods_cost_no_method(source: str) -> None:
    file = read_declarations(source.encode(), "A.java")
    assert [method.name for method in file.classes[0].methods if method.name == "a"] == ["a"]


def test_nesting_without_end_is_survived() -> None:
    deep = "(" * 5000 + "1" + ")" * 5000
    test = found_in(f"class A {{ @Test public void a() {{ int n = {deep}; assertEquals(n, f({deep})); }} }}")["a"]
    assert len(test.assertions) == 1


def test_a_concatenation_of_thousands_of_strings_has_its_type() -> None:
    chain = " + ".join(f'"{n}"' for n in range(5000))
    source = f"class A {{ @Test public void a() {{ var text = {chain}; f(({chain}) + 1, 1 + 2L, text); assert b; }} }}"
    (call,) = found_in(source)["a"].calls
    assert call.arguments == ("String", "long", "String")


def test_expressions_nested_too_deep_cost_their_file_alone() -> None:
    source = f"class A {{ @Test public void a() {{ f({'n = ' * 5000}1); }} }}"
    file = read_declarations(source.encode(), "A.java")
    assert (file.fault, file.classes) == ("nested too deep", ())
