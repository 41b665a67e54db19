"""Which methods count as tests, and which of their statements as assertions."""

import pytest

from assertkd.java.declarations import read_declarations
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
        if index.is_test(declared, test.framework)
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
        ("E e = assertThrows(E.class, this::run); int assertion = 1; asserted = true;", []),
    ],
)  # fmt: skip
def test_outermost_assertion_statements_are_found_in_their_order(statements: str, kinds: list[str]) -> None:
    test = found_in(f"class A {{ @Test public void a() {{ {statements} }} }}")["a"]
    assert [assertion.kind for assertion in test.assertions] == kinds


def test_a_file_that_does_not_parse_has_a_fault_and_no_classes() -> None:
    file = read_declarations(b"class A { void a( { }", "A.java")
    assert (file.fault, file.classes) == ("does not parse", ())


def test_nesting_without_end_is_survived() -> None:
    deep = "(" * 5000 + "1" + ")" * 5000
    test = found_in(f"class A {{ @Test public void a() {{ int n = {deep}; assertEquals(n, f({deep})); }} }}")["a"]
    assert len(test.assertions) == 1
