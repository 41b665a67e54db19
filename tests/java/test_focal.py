"""Which method a test is linked to."""

from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import ProjectIndex
from assertkd.java.structure import JavaFile

FOO = """package p;
import java.util.List;
public class Foo extends Base implements Shape {
    private int n;
    public Foo(int n) { this.n = n; }
    public Foo(String s) { this.n = Integer.parseInt(s); }
    public int getN() { return n; }
    public void setN(int n) { this.n = n; }
    public int add(int m) { return n + m; }
    public long add(long m) { return n + m; }
    public int add(Shape shape) { return 7 + n; }
    public int add(boolean[] all) { return all.length + 1; }
    public int add(char[] all) { return all.length + 2; }
    public int addAll(int... all) { return all.length; }
    public double area() { return n * n; }
    public Foo copy() { return new Foo(n + 0); }
    public static Foo parse(String s) { return new Foo(s.trim()); }
    @Override public String toString() { return "Foo" + n; }
    public static class Builder { public Foo build() { return new Foo(1 + 1); } }
}
"""
BASE = "package p; abstract class Base { public int twice(int x) { return x * 2; } abstract int getN(); }"
SHAPE = "package p; public interface Shape { double area(); }"
OTHER = "package q; public class Other { public static int run(int n) { return n + 1; }}"


def project(*tests: str, **more: str) -> tuple[ProjectIndex, list[JavaFile]]:
    """Return the index of the classes above with some test files, and the parsed test files."""
    main = {"p/Foo": FOO, "p/Base": BASE, "p/Shape": SHAPE, "q/Other": OTHER, **more}
    files = [read_declarations(source.encode(), f"src/main/java/{path}.java") for path, source in main.items()]
    parsed = [read_declarations(test.encode(), f"src/test/java/p/T{n}.java") for n, test in enumerate(tests)]
    assert not any(file.fault for file in files + parsed)
    return ProjectIndex([*files, *parsed]), parsed


def linked(body: str, name: str = "works", class_name: str = "FooTest", before: str = "", imports: str = "") -> str:
    """Return what a test's last assertion is linked to, as `Class.method(types) how`, or the reason why to nothing."""
    source = f"package p; {imports} class {class_name} {{ {before} @Test public void {name}() {{ {body} }} }}"
    index, (file,) = project(source)
    (declared,) = file.classes
    (test,) = declared.tests
    (link,) = Linker(index).links(file, declared, test, [test.assertions[-1].span.end])
    if isinstance(link, str):
        return link
    method = link.focal.method
    return f"{link.focal.owner.name}.{method.name}({', '.join(method.parameters)}) {link.how}"


def test_names_say_class_and_method() -> None:
    body = "Foo foo = new Foo(1); int r = foo.add(2); foo.copy(); assertEquals(3, r);"
    assert linked(body, "testAdd") == "Foo.add(int) name"
    assert linked(body, "add_returnsSum") == "Foo.add(int) name"
    assert linked(body, "shouldAddNumbers") == "Foo.add(int) name"
    assert linked(body, "testOf_copy") == "Foo.copy() name"
    assert linked(body, "testAdding") == "Foo.copy() call", "a word of the name ends elsewhere"
    assert linked("assertEquals(2, foo.addAll(1, 2) + foo.add(1));", "testAddAllTwo", before="Foo foo;").startswith(
        "Foo.addAll"
    ), "the longest name"


def test_a_method_that_runs_without_being_called_is_found_by_its_name() -> None:
    assert linked('assertEquals("Foo1", "" + new Foo(1));', "testToString") == "Foo.toString() name"
    assert linked('assertEquals("Foo1", "" + new Foo(1));', "toString_ofOne") == "Foo.toString() name"


def test_the_class_under_test_is_found_under_many_names() -> None:
    body = 'assertEquals(3, Foo.parse("1").add(2));'
    names = ["FooTest", "FooTests", "TestFoo", "FooTestCase", "FooIT", "FooUnitTest", "FooParsingTest", "TestFoo_Parse"]
    for name in names:
        assert linked(body, class_name=name) == "Foo.add(int) call", name
    assert linked(body, class_name="BugTest") == "Foo.add(int) type"


def test_the_last_call_before_the_assertion_counts() -> None:
    assert linked("foo.copy(); assertTrue(x); foo.add(1); assertTrue(y);", before="Foo foo;") == "Foo.add(int) call"
    first = "Foo foo = new Foo(1); foo.copy(); assertTrue(x); foo.add(1);"
    assert linked(first) == "Foo.copy() call"


def test_getters_and_constructors_come_last() -> None:
    assert linked('Foo foo = Foo.parse("1"); assertEquals(1, foo.getN());') == "Foo.parse(String) call"
    assert linked("foo.setN(3); assertEquals(3, foo.getN());", before="Foo foo;") == "Foo.setN(int) call"
    assert linked('assertEquals(1, new Foo("1").getN());') == "Foo.<init>(String) call"
    assert linked("assertEquals(1, new Foo(1).getN());") == "Foo.getN() call"
    assert linked('assertEquals("Foo3", Foo.parse("1").toString());') == "Foo.parse(String) call"
    assert linked("assertNotNull(new Foo(1));") == "Foo.<init>(int) call"


def test_overloads_are_told_apart_by_number_and_plain_types() -> None:
    assert linked("assertEquals(3, new Foo(1).add(2L));") == "Foo.add(long) call"
    assert linked("long m = 2; assertEquals(3, new Foo(1).add(m));") == "Foo.add(long) call"
    assert linked("assertEquals(3, new Foo(1).addAll(1, 2, 3));") == "Foo.addAll(int) call"
    assert linked('assertEquals(3, new Foo(1).add(Foo.parse("1")));', "testAdd") == "Foo.add(Shape) name"
    assert linked("short m = 2; assertEquals(3, new Foo(1).add(m));") == "Foo.add(int) call"
    assert linked("assertEquals(3, new Foo(1).add(new Foo(2)));") == "Foo.add(Shape) call"
    assert linked("assertEquals(3, new Foo(1).add((Shape) null));") == "Foo.add(Shape) call"
    assert linked("char[] all = {'a'}; assertEquals(3, new Foo(1).add(all));") == "Foo.add(char[]) call"
    assert linked("assertEquals(3, new Foo(1).add(new boolean[] {true}));") == "Foo.add(boolean[]) call"


def test_the_type_of_what_is_called_on_is_followed() -> None:
    assert linked('var f = Foo.parse("1"); assertEquals(3, f.copy().add(2));') == "Foo.add(int) call"
    assert linked("Shape s = new Foo(2); assertEquals(4, s.area());") == "Foo.area() call"
    assert linked("for (Foo f : all) assertEquals(3, f.add(2));") == "Foo.add(int) call"
    assert linked("assertEquals(3, make().add(2));", before="Foo make() { return null; }") == "Foo.add(int) call"
    assert linked("assertEquals(3, ((Foo) o).add(2));", before="Object o;") == "Foo.add(int) call"
    assert linked("assertEquals(3, this.foo.add(2));", before="Foo foo;") == "Foo.add(int) call"
    assert linked("assertEquals(2, new Foo.Builder().build());") == "Foo.Builder.build() call"
    assert linked("assertEquals(2, new Foo(1).twice(1));") == "Base.twice(int) call"


def test_what_the_project_does_not_declare_is_no_focal_method() -> None:
    reason = "no method of the class under test is called"
    assert linked('String s = "1"; assertEquals(3, s.add(2));') == reason
    assert linked("assertEquals(3, list.get(0).add(2));", before="List<String> list;") == reason
    assert linked("assertEquals(3, add(2));", before="int add(int n) { return n; }") == reason


def test_another_class_of_the_project_is_taken_where_that_under_test_is_not_called() -> None:
    imports = "import q.Other; import static q.Other.run;"
    assert linked("assertEquals(2, Other.run(1));", imports=imports) == "Other.run(int) type"
    assert linked("assertEquals(2, run(1));", imports=imports) == "Other.run(int) type"
    assert linked("assertEquals(1, 1);", class_name="BugTest") == (
        "no class under test is named, and none of the project is called"
    )


def test_classes_of_one_name_are_told_apart_by_imports_and_package() -> None:
    twin = "package q; public class Foo { public int add(int m) { return m - 1; } }"
    body = "@Test public void a() { assertEquals(1, new Foo(1).add(2)); }"
    here = f"package p; class FooTest {{ {body} }}"
    there = f"package p; import q.Foo; class FooTest {{ {body} }}"
    for test, package in ((here, "p"), (there, "q")):
        index, (file,) = project(test, **{"q/Foo": twin})
        found = index.resolve("Foo", file)
        assert found is not None
        assert found.package == package


def test_classes_that_inherit_from_each_other_end() -> None:
    loop = {"p/A": "package p; class A extends B {}", "p/B": "package p; class B extends A {}"}
    index, _ = project(**loop)
    a = index.only("A")
    assert a is not None
    assert [one.name for one in index.ancestors(a)] == ["B"]
