"""Which method a test is linked to."""

from typing import Any

import pytest

from assertkd.java.declarations import read_declarations
from assertkd.java.focal import Linker
from assertkd.java.index import Member, ProjectIndex
from assertkd.java.resolution import CallResolver
from assertkd.java.structure import JavaClass, JavaFile

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


def linked_in(sources: dict[str, str], test: str) -> list[str]:
    """Return what each assertion of a project's only test class is linked to, as `Class.method`, or why to nothing."""
    files = [read_declarations(source.encode(), path) for path, source in sources.items()]
    file = next(file for file in files if file.path == test)
    index = ProjectIndex(files)
    linker = Linker(index)
    found = []
    for declared, one in file.tests:
        ends = [assertion.span.end for assertion in linker.assertions(file, declared, one)[0]]
        for link in linker.links(file, declared, one, ends):
            found.append(link if isinstance(link, str) else link.focal.label)
    return found


NO_BODY = "the method called has no body, or several implementations"
NOT_CALLED = "no class under test is named, and none of the project is called"


def shop(test: str, **classes: str) -> list[str]:
    """Return what the assertions of a test class are linked to; its file is that of its name, in package `shop`."""
    path = "src/test/java/shop/ShopTest.java"
    sources = {f"src/main/java/shop/{name}.java": f"package shop; {source}" for name, source in classes.items()}
    return linked_in({**sources, path: f"package shop; {test}"}, path)


@pytest.mark.parametrize(
    ("path", "package", "is_own"),
    [
        ("src/main/java/it/shop/Cart.java", "it.shop", True),
        ("src/main/java/org/testing/Cart.java", "org.testing", True),
        ("testing/src/main/java/org/jmh/tests/Cart.java", "org.jmh.tests", True),
        ("src/it/test/Cart.java", "it.test", True),
        ("it/test/Cart.java", "it.test", True),
        ("src/main/generated/Cart.java", "org.test", True),
        ("src/latest/java/shop/Cart.java", "shop", True),
        ("src/test/java/shop/Cart.java", "shop", False),
        ("src/it/java/shop/Cart.java", "shop", False),
        ("src/testFixtures/java/shop/Cart.java", "shop", False),
        ("src/integration-test/java/shop/Cart.java", "shop", False),
        ("src/functionalTest/java/shop/Cart.java", "shop", False),
        ("test/shop/Cart.java", "shop", False),
        ("test/src/shop/Cart.java", "shop", False),
        ("src/jmh/java/shop/Cart.java", "shop", False),
        ("checks/unit/shop/Cart.java", "shop", False),
    ],
)
def test_source_roots_tell_test_code_not_packages(path: str, package: str, is_own: bool) -> None:
    file = read_declarations(f"package {package}; class Cart {{ int add() {{ return 1 + 1; }} }}".encode(), path)
    (declared,) = file.classes
    assert ProjectIndex([file], ["checks/unit"]).is_own(declared) is is_own


VERIFIER = """public class Verifier {
    public static Verifier of() { return new Verifier(); }
    public Token verify(String text) { return new Token(text + "x"); }
    public boolean expectAll(int n) { return n > 1; }
    public void fail() { throw new IllegalStateException(); }
}"""


def test_methods_of_the_project_are_no_assertions_whatever_their_names() -> None:
    test = """class ShopTest {
        Verifier verifier = Verifier.of();
        @Test public void plain() { verifier.verify("a"); }
        @Test public void kept() { Token token = verifier.verify("a"); assertEquals("ax", token.text()); }
        @Test public void boolean_() { assertTrue(verifier.expectAll(2)); }
        @Test public void inside() { verifier.fail(); Verifier.of().verify("b"); assertNotNull(verifier); }
        @Test public void unknown() { make(1).verify("c"); }
        @Test public void mocked() { verify(verifier).verify("d"); assertTrue(verifier.expectAll(3)); }
    }"""
    assert shop(test, Verifier=VERIFIER) == [
        "Verifier.verify",
        "Verifier.expectAll",
        "Verifier.verify",
        NOT_CALLED,
        "Verifier.expectAll",
    ]


def test_the_implementation_of_an_abstract_method_is_tested() -> None:
    engine = """public interface Engine { int run(int n); static Engine create() { return new Plain(); } }
    class Plain implements Engine { public int run(int n) { return n * n; } }"""
    test = (
        "class ShopTest { @Test public void a() { Engine e = Engine.create(); e.run(3); assertEquals(9, e.run(3)); } }"
    )
    assert shop(test, Engine=engine) == ["Plain.run"]
    two = engine + " class Fast implements Engine { public int run(int n) { return n << n; } }"
    assert shop(test, Engine=two) == ["Plain.run"]
    made = """class ShopTest { Engine e; @Before public void setUp() { e = new Fast(); }
        @Test public void a() { assertEquals(9, e.run(3)); } }"""
    assert shop(made, Engine=two) == ["Fast.run"]
    given = "class ShopTest { @Test public void a(Engine e) { assertEquals(9, e.run(3)); } }"
    assert shop(given, Engine=two) == [NO_BODY]


PARSERS = {
    "Parser": "public interface Parser { String next(); default boolean more() { return n > 1; } }",
    "FastParser": "class FastParser implements Parser { public String next() { return f(1); } }",
    "SlowParser": "class SlowParser implements Parser { public String next() { return f(2); } }",
    "Listed": "class Listed implements Parser { public String next() { return f(3); } }",
    "Factory": """public class Factory {
        public Parser createParser(java.io.Reader reader) { return make(new char[] {1}, 2); }
        public Parser createParser(byte[] bytes) { Parser made = new SlowParser(); made.more(); return made; }
        private Parser make(char[] text, int n) { return new Inner(n).parser(); }
        static class Inner { Inner(int n) { this.n = n + 1; } Parser parser() { return new FastParser(); } }
    }""",
}


@pytest.mark.parametrize(
    ("test", "focal"),
    [
        ("class ShopTest { { Parser p = new Factory().createParser(new StringReader(s)); p.next();", "FastParser.next"),
        ("class ShopTest { { Parser p = new Factory().createParser(new byte[0]); p.next();", "SlowParser.next"),
        ("class ShopTest { Parser p; Parser q = new Listed(); { f(new SlowParser()); p.next();", "SlowParser.next"),
        ("class ShopTest { Parser p; Parser q = new Listed(); { p.next();", "Listed.next"),
        ("class SlowTest { Parser p; Parser q = new Listed(); { p.next();", "SlowParser.next"),
        ("class ShopTest { Parser p; Parser q = f(new FastParser(), new SlowParser()); { p.next();", NO_BODY),
        ("class ShopTest { Parser p; { p.next();", NO_BODY),
    ],
)  # fmt: skip
def test_of_several_implementations_the_one_made_or_named_is_tested(test: str, focal: str) -> None:
    head, _, body = test.rpartition("{")
    (found,) = shop(f"{head} @Test public void a() {{ {body} assertTrue(x); }} }}", **PARSERS)
    assert found == focal


def test_words_of_a_test_classs_name_tell_among_classes() -> None:
    classes = {
        "Soup": "public class Soup { public static Doc parse(String s) { return Reader.read(s); } }",
        "Doc": "public class Doc { public Doc select(String s) { return f(s); } public String text() { return f(); } }",
        "Mark": "public class Mark { public String html(int n) { return f(n); } }",
        "Links": "public class Links { public static Link connect(String s) { return new Link(s + 1); } }",
        "Link": "public class Link { Link(String s) {} public Doc fetch() { return f(3); } }",
    }
    body = """Doc d = Soup.parse("x"); new Mark().html(3); assertTrue(d.select("a").text().isEmpty());"""
    several = "methods of several classes are called, and the test names none"
    cases = {
        ("HtmlParserTest", body): "Soup.parse",
        ("SelectorTest", body): "Doc.select",
        ("SelectsWithParserTest", body): "Doc.select",
        ("SoupTests", body): "Soup.parse",
        ("BasicTest", body): several,
        ("ConnectTest", 'Doc d = Links.connect("x").fetch(); Soup.parse("y"); assertNull(d);'): several,
        ("LinkingTest", 'Doc d = Links.connect("x").fetch(); Soup.parse("y"); assertNull(d);'): "Link.fetch",
    }
    for (name, statements), focal in cases.items():
        assert shop(f"class {name} {{ @Test public void a() {{ {statements} }} }}", **classes) == [focal], name


def test_the_only_class_that_implements_a_librarys_interface_is_tested() -> None:
    classes = {
        "ShopPath": "public class ShopPath implements Path { public Path join(Path other) { return f(other, 1); } }",
        "Names": "public class Names implements Iterator<String> { public String next() { return f(1); } }",
        "Two": "class A implements Job { public void run() { f(1); } } class B implements Job { public void run() {} }",
    }
    imports = "import java.nio.file.Path; import java.util.Iterator; import org.quartz.Job;"
    for body, focal in (
        ("Path p = f(); p.join(f());", "ShopPath.join"),
        ("Iterator<String> p = f(); p.next();", ""),
        ("Job p = f(); p.run();", ""),
        ("Path p = f(); p.split(f());", ""),
        ("Path p = new Path();", ""),
    ):
        found = shop(f"{imports} class ShopTest {{ @Test public void a() {{ {body} assertTrue(x); }} }}", **classes)
        assert found == [focal or NOT_CALLED], body


def test_a_comment_among_arguments_is_none() -> None:
    assert linked("assertEquals(3, new Foo(1 /* n */).addAll(1, // one\n2));") == "Foo.addAll(int) call"
    assert linked("assertEquals(3, foo.add(2 // two\n));", before="Foo foo;") == "Foo.add(int) call"


def test_what_sets_a_value_is_tested_before_what_gets_it() -> None:
    page = """public class Page { public String text() { return f(1); }
        public Page text(String text) { return f(text); }
        public int size() { return f(2); }
        public Page size(Page other, int n) { return f(3); } }"""
    test = """class PageTest {
        @Test public void works() { page.text("a"); assertEquals("a", page.text()); }
        @Test public void setTextWorks() { page.text("a"); assertEquals("a", page.text()); }
        @Test public void grows() { page.size(page, 2); assertEquals(3, page.size()); } Page page; }"""
    files = {"src/main/java/shop/Page.java": f"package shop; {page}"}
    path = "src/test/java/shop/PageTest.java"
    files[path] = f"package shop; {test}"
    *others, file = (read_declarations(source.encode(), name) for name, source in files.items())
    linker = Linker(ProjectIndex([*others, file]))
    found = [
        link.focal.method.parameters
        for declared, one in file.tests
        for link in linker.links(file, declared, one, [one.assertions[-1].span.end])
        if not isinstance(link, str)
    ]
    assert found == [("String",), ("String",), ()]


def test_a_method_whose_name_holds_the_tests_is_tested() -> None:
    cart = """public class Cart { public void replaceWith(Cart other) { f(other); }
        public int count(int n) { return f(n); } public boolean replacesAll(int n) { return f(n); } }"""
    for name, focal in {"testReplace": "replaceWith", "testReplacesAll": "replacesAll", "testRep": "count"}.items():
        body = "c.replaceWith(c); assertTrue(c.replacesAll(2) || c.count(1) > 0);"
        assert shop(f"class ShopTest {{ Cart c; @Test public void {name}() {{ {body} }} }}", Cart=cart) == [
            f"Cart.{focal}"
        ]


def test_accessors_of_records_need_not_be_declared() -> None:
    order = "public record Order(Cart cart) { public int twice() { return f(2); } }"
    cart = "public class Cart { public int add(int n) { return n + 1; } }"
    for body in ("new Order(c).cart().add(1)", "order.cart().add(1)"):
        test = f"class ShopTest {{ Order order; @Test public void a() {{ assertEquals(1, {body}); }} }}"
        assert shop(test, Order=order, Cart=cart) == ["Cart.add"]
    inside = "record ShopTest(Cart cart) { @Test public void a() { assertEquals(1, cart().add(1)); } }"
    assert shop(inside, Cart=cart) == ["Cart.add"]


def test_a_type_parameter_of_the_base_class_stands_for_its_argument() -> None:
    base = """public abstract class BaseTest<T> { protected T field; protected abstract T make();
        @Test public void a() { assertEquals(1, make().add(1)); } }"""
    cart = "public class Cart { public int add(int n) { return n + 1; } }"
    for body in ("make().add(1)", "this.make().add(2)", "field.add(3)"):
        test = f"@Test public void b() {{ assertEquals(1, {body}); }}"
        for classes in (
            f"class ShopTest extends BaseTest<Cart> {{ {test} }}",
            f"class ShopTest extends MidTest {{ {test} }} class MidTest extends BaseTest<Cart> {{ }}",
        ):
            assert shop(classes, Cart=cart, BaseTest=base) == ["Cart.add"]
        unbound = shop(f"class ShopTest<X> extends BaseTest<X> {{ {test} }}", Cart=cart, BaseTest=base)
        assert unbound == [NOT_CALLED]


@pytest.mark.parametrize(
    ("body", "focal"),
    [
        ("Util.load(Bar.class).run(2)", NOT_CALLED),
        ("Util.twin(bar).run(2)", "Bar.run"),
        ("Box.first().get().run(2)", NOT_CALLED),
        ("own(bar).run(2)", NOT_CALLED),
        ("key.run(2)", "Foo.run"),
        ("value().run(2)", "Bar.run"),
        ("first().run(2)", "Foo.run"),
        ("again().run(2)", "Foo.run"),
    ],
)
def test_a_type_parameter_is_bound_where_it_is_declared(body: str, focal: str) -> None:
    run = "{ public int run(int n) { return n + 1; } }"
    test = f"""class ShopTest extends Lone<Foo> {{ @Test public void a() {{ assertEquals(3, {body}); }} }}
        abstract class Lone<E> extends Base<E, Bar> {{ }}
        abstract class Base<KEY, T> extends shop.more.Again<KEY> implements Contract<KEY> {{
            KEY key; abstract T value(); abstract <T> T own(T t); }}
        interface Contract<T> {{ T first(); }}
        abstract class Again<T> extends other.Again<T> {{ abstract T again(); }}
        class Util {{ static native <T> T load(Class<T> c); static native <T extends @X Bar & Y> T twin(T t); }}
        class Box<T> {{ static native Box<T> first(); native T get(); }}"""
    assert shop(test, Foo=f"public class Foo {run}", Bar=f"public class Bar {run}") == [focal]


def test_a_factory_creates_and_returns_nothing_else() -> None:
    classes = {
        "Soup": """public class Soup {
            public static Doc read(String s) { if (s == null) return new Doc(1); Doc d = f(s); return d; }
            public static Doc empty() { if (x) return null; Doc d = new Doc(2); d.n(); return d; } }""",
        "Doc": "public class Doc { Doc(int n) { f(n); } void n() {} public Doc select(String s) { return f(s); } }",
    }
    several = "methods of several classes are called, and the test names none"
    for call, focal in (('read("a")', several), ("empty()", "Doc.select")):
        test = f'class ShopTest {{ @Test public void a() {{ assertNull(Soup.{call}.select("b")); }} }}'
        assert shop(test, **classes) == [focal]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_what_methods_create_that_return_each_others_results_depends_on_no_order(order: tuple[str, ...]) -> None:
    soup = """public class Soup {
        public static Doc a() { if (x) return b(); return a(); }
        public static Doc b() { if (x) return a(); return new Page(1); } }"""
    page = "public class Page implements Doc { Page(int n) { f(n); } public int run(int n) { return n + 1; } }"
    other = "public class Other implements Doc { public int run(int n) { return n + 2; } }"
    tests = [f"@Test public void {one}() {{ assertEquals(1, Soup.{one}().run(2)); }}" for one in order]
    doc = "public interface Doc { int run(int n); }"
    found = shop(f"class ShopTest {{ {' '.join(tests)} }}", Soup=soup, Page=page, Other=other, Doc=doc)
    assert found == ["Page.run", "Page.run"]


@pytest.mark.parametrize("order", [range(12), range(11, -1, -1)])
def test_results_are_followed_to_what_is_created_however_many_methods_pass_them_on(order: range) -> None:
    steps = " ".join(f"public static Doc m{n}() {{ return m{n + 1}(); }}" for n in range(12))
    soup = f"public class Soup {{ {steps} public static Doc m12() {{ return new Page(1); }} }}"
    classes = [
        read_declarations(f"package p; {source}".encode(), f"src/main/java/p/C{number}.java")
        for number, source in enumerate((soup, "class Doc { }", "class Page extends Doc { Page(int n) { f(n); } }"))
    ]
    index = ProjectIndex(classes)
    resolver, members = CallResolver(index), index.members(classes[0].classes[0])
    found = [resolver.created_by(*members[f"m{number}"]) for number in order]
    assert found == [([classes[2].classes[0]], True)] * 12


def test_closing_and_what_a_helper_gets_are_not_tested() -> None:
    pen = """public class Pen { Pen(int n) { f(n, 1); } void write(int n) { f(n); }
        void close() { f(2); } int getN(int n) { return f(n); } }"""
    test = """class ShopTest { Pen pen() { pen.getN(3); return pen; } Pen pen;
        @Test public void a() { pen.write(3); pen.close(); assertTrue(x); }
        @Test public void b() { pen(); assertTrue(x); }
        @Test public void c() { new Pen(3).close(); assertTrue(x); } }"""
    none = NOT_CALLED
    assert shop(test, Pen=pen) == ["Pen.write", none, "Pen.Pen"]


def test_what_uses_a_test_framework_serves_tests() -> None:
    checks = """import org.junit.Assert;
    public class Checks { public static Checks assertThat(Foo foo) { return new Checks(); }
        public void isGood() { Assert.assertTrue(foo.good()); } }"""
    foo = "public class Foo { public boolean good() { return n > 1; } }"
    test = """import shop.Checks;
    class ShopTest { @Test public void a() { Foo foo = new Foo(); foo.good(); Checks.assertThat(foo).isGood(); } }"""
    sources = {"Checks": checks, "Foo": foo}
    path = "src/test/java/shop/ShopTest.java"
    files = {f"src/main/java/shop/{name}.java": f"package shop; {source}" for name, source in sources.items()}
    assert linked_in({**files, path: f"package shop; {test}"}, path) == ["Foo.good"]


def test_the_classes_of_a_test_library_are_its_own() -> None:
    lists = "package org.assertj.core.util; public class Lists { public static int size(int n) { return n + 1; } }"
    check = """package org.assertj.core.api; import static org.assertj.core.util.Lists.size;
        import org.assertj.core.util.*;
        public class Check { public int count(int n) { return size(n); } }"""
    helper = "package org.assertj.core.api; import org.junit.Assert; public class Helper { void run() { f(1 + 1); } }"
    test = """package org.assertj.core.api; import org.junit.Test;
        class CheckTest { @Test public void a() { new Helper().run(); assertEquals(2, new Check().count(1)); } }"""
    path = "src/test/java/org/assertj/core/api/CheckTest.java"
    sources = {
        "src/main/java/org/assertj/core/util/Lists.java": lists,
        "src/main/java/org/assertj/core/api/Check.java": check,
        "src/main/java/org/assertj/core/api/Helper.java": helper,
        path: test,
    }
    assert linked_in(sources, path) == ["Check.count"]
    index = ProjectIndex(read_declarations(source.encode(), name) for name, source in sources.items())
    own = {name for name in ("Lists", "Check", "Helper", "CheckTest") if index.only(name) is not None}
    assert own == {"Lists", "Check"}, "JUnit is another's, and what lies with tests declares no package"


def test_static_factories_rank_as_constructors() -> None:
    money = """public class Money {
        public static Money of(int n) { return new Money(n + 0); }
        public Money add(Money other) { return new Money(n + other.n); }
        public static Money max(Money a, Money b) { return a.n > b.n ? a : b; }
        public int n() { return n; }
    }"""
    test = """class ShopTest {
        @Test public void a() { assertEquals(Money.of(3), Money.of(1).add(Money.of(2))); }
        @Test public void b() { Money sum = Money.of(1).add(Money.of(2)); assertEquals(3, sum.n()); }
        @Test public void c() { assertEquals(Money.of(2), Money.max(Money.of(1), Money.of(2))); }
        @Test public void d() { assertEquals(2, Money.of(2).n()); }
    }"""
    assert shop(test, Money=money) == ["Money.add", "Money.add", "Money.max", "Money.of"]


def test_of_the_class_under_test_what_makes_others_is_tested() -> None:
    cart = """public class Cart {
        public static Rule rule(int n) { return new Cart(n + 1); }
        public boolean holds(int n) { return n > 1; }
        public int sum() { return n + 1; }
        public Bill createBill(int n) { return new Bill(n + 1); }
        public static Bill bill(int n) { return new Bill(n + 2); } }"""
    files = {
        "src/main/java/shop/Cart.java": f"package shop; {cart.replace('Cart {', 'Cart implements Rule {')}",
        "src/main/java/shop/Rule.java": "package shop; public interface Rule { boolean holds(int n); }",
        "src/main/java/shop/Bill.java": "package shop; class Bill { Bill(int n) { f(n); } int n() { return n; } }",
        "src/test/java/shop/CartTest.java": """package shop; class CartTest { Cart cart;
            @Test public void a() { assertHolds(Cart.rule(1)); }
            void assertHolds(Rule rule) { assertTrue(rule.holds(2)); }
            @Test public void b() { assertEquals(1, cart.createBill(cart.sum()).n()); }
            @Test public void c() { cart.holds(1); assertEquals(1, Cart.bill(2).n()); } }""",
    }
    assert linked_in(files, "src/test/java/shop/CartTest.java") == ["Cart.holds", "Cart.createBill", "Cart.bill"]


PRICES = """public class Prices {
    private final Rates rates;
    public Prices(Rates rates) { this.rates = rates; }
    public int price(String name) { return rates.rate(name) * 2; }
    public void sell(String name) { rates.book(name + 1); }
}"""
RATES = """public class Rates {
    public int rate(String name) { return name.length() + 1; }
    public void book(String name) { log(name + 1); }
}"""


@pytest.mark.parametrize(
    "body",
    [
        'prices.price("a"); when(rates.rate("tea")).thenReturn(3); assertEquals(6, n);',
        'prices.price("a"); doReturn(3).when(rates).rate("tea"); assertEquals(6, n);',
        'prices.price("a"); given(rates.rate("tea")).willReturn(3); assertEquals(6, n);',
        'prices.price("a"); expect(rates.rate("tea")).andReturn(3).once(); assertEquals(6, n);',
        'prices.price("a"); rates.book("b"); expectLastCall(); assertEquals(6, n);',
        'prices.price("a"); verify(rates).book("tea");',
        'prices.price("a"); inOrder.verify(rates, times(2)).book("tea");',
        'prices.price("a"); then(rates).should().book("tea");',
        'Rates rates = mock(Rates.class); prices.price("a"); rates.book("x"); assertEquals(6, n);',
        'var rates = Mockito.mock(Rates.class); new Prices(rates).price("a"); rates.book("x"); assertEquals(6, n);',
    ],
)  # fmt: skip
def test_calls_of_mocks_are_not_tested(body: str) -> None:
    # Neither class is named by the test's, so the last call that counts is taken.
    test = f"class ShopTest {{ Rates rates = new Rates(); Prices prices; @Test public void a() {{ {body} }} }}"
    assert shop(test, Prices=PRICES, Rates=RATES)[-1:] == ["Prices.price"]


def test_a_mocked_field_is_not_tested() -> None:
    test = """class ShopTest { @Mock Rates rates; Prices prices;
        @Before public void setUp() { prices = new Prices(rates); }
        @Test public void a() { prices.price("a"); rates.book("x"); assertEquals(6, n); } }"""
    assert shop(test, Prices=PRICES, Rates=RATES) == ["Prices.price"]


def test_what_helpers_of_tests_call_is_tested() -> None:
    helper = "package shop; public class Helper extends Base { static void check(Cart cart) { cart.add(1); } }"
    cart = """public class Cart { public int add(int n) { return n + 1; }
        public int sum(int n) { return n * 2; } public int n() { return n; } }"""
    test = """package shop; class ShopTest { Cart cart = new Cart();
        @Test public void a() { assertAdded(2); }
        @Test public void b() { cart.n(); Helper.check(cart); assertTrue(b); }
        @Test public void c() { cart.sum(1); assertAdded(2); endless(3); assertTrue(b); }
        void assertAdded(int n) { assertEquals(n, addAll(n)); }
        int addAll(int n) { return cart.add(n); }
        void endless(int n) { endless(n - 1); }
    }"""
    path = "src/test/java/shop/ShopTest.java"
    files = {
        "src/main/java/shop/Cart.java": f"package shop; {cart}",
        "src/test/java/shop/Helper.java": helper,
        path: test,
    }
    assert linked_in({**files, path: test}, path) == ["Cart.add", "Cart.add", "Cart.sum", "Cart.sum"]


def test_words_of_a_tests_name_tell_among_what_is_called() -> None:
    cart = """public class Cart {
        public Cart(int n) { this.n = n + 1; }
        public int add(int n) { return n + 1; }
        public int sumAll(int n) { return n * 2; }
        public int all(int[] n) { return n.length + 1; }
        public int all(long[] n) { return n.length + 2; }
        public int n() { return n; }
        @Override public int hashCode() { return n + 1; }
    }"""
    test = """class ShopTest {
        @Test public void neverSumAllTwice() { Cart cart = new Cart(1); cart.sumAll(1); assertEquals(1, cart.add(2)); }
        @Test public void constructorTakesAll() { Cart cart = new Cart(1); cart.sumAll(1); assertEquals(2, cart.n()); }
    }"""
    assert shop(test, Cart=cart) == ["Cart.sumAll", "Cart.Cart"]
    named = """package shop; class CartTest { @Test public void cartEqualsAndHashCode() { new Cart(1).add(2);
        assertEquals(new Cart(1), new Cart(1)); } }"""
    path = "src/test/java/shop/CartTest.java"
    assert linked_in({"src/main/java/shop/Cart.java": f"package shop; {cart}", path: named}, path) == ["Cart.hashCode"]
    assert (
        linked("assertEquals(3, foo.add(read()));", "takesBooleanArrays", before="Foo foo;")
        == "Foo.add(boolean[]) call"
    )
    assert linked("assertEquals(3, foo.add(1 + 2L));", before="Foo foo;") == "Foo.add(long) call"
    assert linked("assertEquals(3, foo.add((long) MAX + 1));", before="Foo foo;") == "Foo.add(long) call"


def test_a_method_that_only_passes_a_call_on_is_no_more_than_a_getter() -> None:
    first = "public class First { private final Last last = new Last(); public int size() { return last.size(); } }"
    last = """public class Last { public int size() { return n * 2; } public int grow(int n) { return this.n + n; } }"""
    test = """class ShopTest { First first = new First(); Last last = new Last();
        @Test public void a() { last.grow(1); assertEquals(2, first.size()); } }"""
    assert shop(test, First=first, Last=last) == ["Last.grow"]


OPS = """public enum Op {
    ADD { @Override public int on(int a, int b) { return a + b; } },
    SUB { @Override public int on(int a, int b) { return a - b; } };
    public static final Op BEST = ADD;
    public abstract int on(int a, int b);
}"""
PAIR = (
    "public record Pair(int a, int b) { public Pair { if (a > b) throw new E(); } public int sum() { return a + b; } }"
)


@pytest.mark.parametrize(
    ("body", "focal"),
    [
        ("assertEquals(3, Op.ADD.on(1, 2));", "Op.ADD.on"),
        ("Op op = Op.SUB; assertEquals(3, op.on(1, 2));", ""),
        ("assertEquals(3, SUB.on(1, 2));", "Op.SUB.on"),
        ("if (o instanceof Pair pair) assertEquals(3, pair.sum());", "Pair.sum"),
        ("switch (o) { case Pair p -> assertEquals(3, p.sum()); default -> run(); }", "Pair.sum"),
        ("if (o instanceof Box(Pair p, var q)) assertEquals(3, p.sum());", "Pair.sum"),
        ("List<Pair> all = f(); for (var p : all) assertEquals(3, p.sum());", "Pair.sum"),
        ("for (var p : List.of(new Pair(1, 2))) assertEquals(3, p.sum());", "Pair.sum"),
        ("Pair[] all = f(); for (var p : all) { assertEquals(3, p.sum()); }", "Pair.sum"),
        ("Pair[] all = f(); assertEquals(3, all[0].sum());", "Pair.sum"),
        ("for (var p : field) assertEquals(3, p.sum());", "Pair.sum"),
        ("try (var p = new Pair(1, 2)) { assertEquals(3, p.sum()); }", "Pair.sum"),
        ("assertThrows(E.class, () -> new Pair(2, 1));", "Pair.Pair"),
        ("assertEquals(3, inherited.sum());", "Pair.sum"),
    ],
)
def test_types_of_variables_and_constants_are_known(body: str, focal: str) -> None:
    base = "public class Base { protected Pair inherited = f(); }"
    test = f"class ShopTest extends Base {{ List<Pair> field; @Test public void a() {{ {body} }} }}"
    test = f"import static shop.Op.SUB; {test}"
    (found,) = shop(test, Op=OPS, Pair=PAIR, Base=base)
    assert found == (focal or NO_BODY)


def test_a_class_with_one_method_is_tested_by_requests() -> None:
    controller = (
        "public class Shop { Shop(int n) {} public int n() { return n; } public int show(int n) { return n + 1; } }"
    )
    test = 'class ShopTest { @Test public void a() { mvc.perform(get("/")).andExpect(status().isOk()); } }'
    assert shop(test, Shop=controller) == ["Shop.show"]


def test_types_of_overloads_are_words_of_the_tests_name() -> None:
    cart = """public class Cart {
        public int reset(Map m) { return f(m, 1); }
        public int reset(Set s) { return f(s, 2); }
        public <T> int reset(T t) { return f(t, 3); }
    }"""
    linked_to = {}
    for name in ("applyAfterResetMap", "worksAfterReset", "resetOfSet", "t"):
        body = "{ assertEquals(1, cart.reset(x())); }"
        test = f"package shop; class CartTest {{ Cart cart; @Test public void {name}() {body} }}"
        files = [
            read_declarations(f"package shop; {cart}".encode(), "src/main/java/shop/Cart.java"),
            read_declarations(test.encode(), "src/test/java/shop/CartTest.java"),
        ]
        ((declared, one),) = files[1].tests
        (link,) = Linker(ProjectIndex(files)).links(files[1], declared, one, [one.assertions[-1].span.end])
        assert not isinstance(link, str)
        linked_to[name] = link.focal.method.parameters[0]
    assert linked_to == {"applyAfterResetMap": "Map", "worksAfterReset": "Map", "resetOfSet": "Set", "t": "Map"}


def test_helpers_that_call_each_other_often_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []
    find = ProjectIndex.find

    def counted(self: ProjectIndex, declared: JavaClass, name: str, *rest: Any) -> Member | None:
        looked_up.append(name)
        return find(self, declared, name, *rest)

    monkeypatch.setattr(ProjectIndex, "find", counted)
    test = f"""class ShopTest {{ Cart cart = new Cart();
        @Test public void works() {{ {"a(); " * 20} assertTrue(x); }}
        void a() {{ {"b(); " * 300} c(); b(); }}
        void b() {{ {"cart.go(); " * 300} }}
        void c() {{ cart.stop(); }}
    }}"""
    cart = "public class Cart { public int go() { return f(1, 2); } public int stop() { return f(2, 1); } }"
    assert shop(test, Cart=cart) == ["Cart.go"], "what is called last"
    assert len(looked_up) < 1000
