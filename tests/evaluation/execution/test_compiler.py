"""The warm compiler: a verdict on every unit, whatever stands beside it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assertkd.evaluation.execution import compiler
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool

pytestmark = pytest.mark.java


def unit(pool: ExecutionPool, name: str, body: str) -> Unit:
    return Unit(pool.new_folder(), {f"{name}.java": f"public class {name} {{ {body} }}"})


def classes(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.class")}


def test_units_fail_by_themselves(pool: ExecutionPool) -> None:
    units = [
        unit(pool, "Sound", "static class Inner { } Runnable lambda = () -> { };"),
        unit(pool, "Unparsable", "int f( {"),
        unit(pool, "Untyped", 'int f() { return "text"; }'),
        unit(pool, "Unfinished", "int f() { }"),
        unit(pool, "Unknown", "Missing f;"),
        unit(pool, "Checked", "void f() { throw new Exception(); }"),
        unit(pool, "Last", "int f() { return 1; }"),
    ]
    errors = pool.compile(units)
    assert [error is None for error in errors] == [True, False, False, False, False, False, True]
    assert "incompatible types" in str(errors[2])
    assert "missing return statement" in str(errors[3])
    assert "unreported exception" in str(errors[5])
    assert classes(units[0].folder) == {"Sound.class", "Sound$Inner.class"}
    assert classes(units[6].folder) == {"Last.class"}
    for failed in units[1:6]:
        assert classes(failed.folder) == set()


def test_units_may_declare_the_same_types(pool: ExecutionPool) -> None:
    first, second = unit(pool, "Same", "int a = 1;"), unit(pool, "Same", "int a = 2; Undeclared b;")
    third = unit(pool, "Same", "long a = 3;")
    errors = pool.compile([first, second, third])
    assert [error is None for error in errors] == [True, False, True]
    assert classes(first.folder) == classes(third.folder) == {"Same.class"}
    hidden = [unit(pool, name, "} class Hidden {") for name in ("One", "Two")]
    assert pool.compile(hidden) == [None, None], "a second type of a file does not collide either"


def test_a_unit_may_hold_several_files(pool: ExecutionPool) -> None:
    folder = pool.new_folder()
    sources = {
        "a/One.java": "package a; public class One { b.Two two; }",
        "b/Two.java": "package b; public class Two { }",
    }
    assert pool.compile([Unit(folder, sources)]) == [None]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.class")) == ["a/One.class", "b/Two.class"]


def test_text_that_breaks_the_compiler_hurts_no_other_unit(pool: ExecutionPool) -> None:
    deep = "int f() { return " + "(" * 200_000 + "1" + ")" * 200_000 + "; }"
    units = [
        unit(pool, "Before", "int a;"),
        unit(pool, "Deep", deep),
        unit(pool, "After", "int a;"),
    ]
    errors = pool.compile(units)
    assert errors == [None, "an expression or statement is nested too deeply for the compiler", None]


BLOWS_UP = "Object f(boolean b) { return CODE; }".replace("CODE", "java.util.List.of(b ? " * 20 + "1" + " : 2)" * 20)
"""Each level doubles the time that its types take."""

BLANKS = "// class " + "/**/" * 60 + " 1\n int a;"
"""An expression for blanks that goes back over them tries all ways to divide them."""


def test_a_unit_that_the_compiler_hangs_on_is_the_only_one_blamed(
    pool: ExecutionPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger=compiler.log.name)
    monkeypatch.setattr(compiler, "SILENT_SECONDS", 4.0)
    units = [unit(pool, f"Before{number}", "int a;") for number in range(50)]
    units += [unit(pool, "Hangs", BLOWS_UP), unit(pool, "Blanks", BLANKS), unit(pool, "After", "int a;")]
    kill, ended = compiler.Compiler.kill, []
    monkeypatch.setattr(compiler.Compiler, "kill", lambda self: ended.append(self) or kill(self))
    errors = pool.compile(units)
    assert errors == [*[None] * 50, "the compiler did not come to an end", None, None]
    assert len(ended) == 2, "the unit among others, and alone"
    assert [record.getMessage() for record in caplog.records] == [
        f"javac took too long over {count} units and is started again" for count in (53, 1)
    ]
    assert classes(units[0].folder) == {"Before0.class"}


@pytest.mark.parametrize("letters", [300, 5000])
def test_a_class_whose_name_no_file_can_have_fails_alone(pool: ExecutionPool, letters: int) -> None:
    units = [unit(pool, "Long", f"class {'x' * letters} {{ }}"), unit(pool, "Short", "int a;")]
    assert pool.compile(units) == ["its classes cannot be written (File name too long)", None]
    assert not units[0].folder.exists()


def test_a_class_that_is_nested_too_deeply_fails_alone(pool: ExecutionPool) -> None:
    units = [
        Unit(pool.new_folder(), {"A.java": f"package {'.'.join(['a'] * parts)}; class A {{ }}"})
        for parts in (1000, 100, 99)
    ]
    assert pool.compile(units) == [*["its classes cannot be written (a name of more than 100 parts)"] * 2, None]
    assert [one.folder.exists() for one in units] == [False, False, True]


def test_a_long_message_is_cut(pool: ExecutionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.Compiler, "kill", lambda self: pytest.fail("the compiler was ended"))
    [error] = pool.compile([unit(pool, "Long", f"int f() {{ return {'x' * 70_000}.y; }}")])
    assert error == "cannot find symbol"
    [error] = pool.compile([unit(pool, "Long", f"class {'x' * 60_000} {{ }} class {'x' * 60_000} {{ }}")])
    assert str(error).startswith("class Long.xxx")
    assert len(str(error)) == 300


def test_units_with_much_source_are_sent_in_several_requests(
    pool: ExecutionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "MOST_SOURCE_BYTES", 100)
    request, sizes = compiler.Compiler._request, []
    monkeypatch.setattr(
        compiler.Compiler, "_request", lambda self, units, _: sizes.append(len(units)) or request(self, units, False)
    )
    comments = ["", "", "/*" + "x" * 300 + "*/", "", "undeclared f;"]
    errors = pool.compile([unit(pool, f"T{number}", comment) for number, comment in enumerate(comments)])
    assert [error is None for error in errors] == [True, True, True, True, False]
    assert sorted(sizes) == [1, 2, 2]


def test_a_long_chain_of_calls_compiles(pool: ExecutionPool) -> None:
    chain = "".join(f'.append("k{number}").append({number})' for number in range(600))
    assert pool.compile([unit(pool, "Chain", f"Object f() {{ return new StringBuilder(){chain}; }}")]) == [None]


@pytest.fixture(scope="module")
def on_class_path(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExecutionPool]:
    """Return a pool with the classes X and Y of package p on its class path; Y extends X."""
    folder = tmp_path_factory.mktemp("classes")
    sources = {"p/X.java": "package p; public class X { public int old() { return 1; } }"}
    sources["p/Y.java"] = "package p; public class Y extends X { }"
    with ExecutionPool(toolchain, workers=1) as first:
        made = first.new_folder()
        assert first.compile([Unit(made, sources)]) == [None]
        shutil.copytree(made, folder, dirs_exist_ok=True)
    with ExecutionPool(toolchain, [folder], workers=1) as made_pool:
        yield made_pool


@pytest.mark.parametrize(
    "user",
    [
        "package p; class ATest { int a = new X().old(); }",
        "package p; class ATest { int a = new Y().old(); }",
        "package q; import p.*; class ATest { int a = new X().old(); }",
        "package q; class ATest { int a = new p.Y().old(); }",
        "package p; class ATest { int a = new \\u0058().old(); }",
    ],
)
def test_units_do_not_see_each_others_sources_of_a_class(on_class_path: ExecutionPool, user: str) -> None:
    pool = on_class_path
    other = "package p; public class X { private int changed() { return 1; } }"
    units = [
        Unit(pool.new_folder(), {"p/ATest.java": user}),
        Unit(pool.new_folder(), {"p/X.java": other}),
        Unit(pool.new_folder(), {"p/ATest.java": user.replace("old", "changed")}),
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        errors = pool.compile([units[number] for number in order])
        found = dict(zip(order, errors, strict=True))
        assert found[0] is None, order
        assert found[1] is None, order
        assert "cannot find symbol" in str(found[2])


@pytest.mark.parametrize(
    "user",
    [
        "package p; class A { Other other; }",
        "package p.q; class A { p.Other other; }",
        "package p.q; import p.Other; class A { }",
        "package q; import p.*; class A { }",
        "package p; class A { Second second; }",
        "package p; class A { /* */ \\u004fther other; }",
    ],
)
def test_nothing_compiles_only_because_of_what_stands_beside_it(pool: ExecutionPool, user: str) -> None:
    other = "package p; public class Other { } class /* a comment */ Second { }"
    units = [Unit(pool.new_folder(), {"a/A.java": user}), Unit(pool.new_folder(), {"p/Other.java": other})]
    alone = pool.compile(units[:1])
    assert alone != [None]
    assert pool.compile(units) == [*alone, None]
    assert pool.compile(units[::-1]) == [None, *alone]


PROCESSOR = """package maker;
import java.io.*;
import java.util.Set;
import javax.annotation.processing.*;
import javax.lang.model.SourceVersion;
import javax.lang.model.element.*;
@SupportedAnnotationTypes("maker.Make")
public class Maker extends AbstractProcessor {
    @Override public SourceVersion getSupportedSourceVersion() { return SourceVersion.latest(); }
    @Override public boolean process(Set<? extends TypeElement> annotations, RoundEnvironment round) {
        for (Element element : round.getElementsAnnotatedWith(Make.class)) {
            String name = "Made" + element.getSimpleName();
            try (Writer writer = processingEnv.getFiler().createSourceFile("p." + name, element).openWriter()) {
                writer.write("package p; class " + name + " { static int made() { return 1; } }");
            } catch (IOException fault) {
                throw new UncheckedIOException(fault);
            }
        }
        return true;
    }
}
"""


def test_the_class_paths_annotation_processors_are_run(toolchain: Toolchain, tmp_path: Path) -> None:
    services = tmp_path / "META-INF/services/javax.annotation.processing.Processor"
    services.parent.mkdir(parents=True)
    services.write_text("maker.Maker\n", encoding="utf-8")
    with ExecutionPool(toolchain, workers=1) as first:
        made = first.new_folder()
        sources = {"maker/Maker.java": PROCESSOR, "maker/Make.java": "package maker; public @interface Make { }"}
        assert first.compile([Unit(made, sources)]) == [None]
        shutil.copytree(made, tmp_path, dirs_exist_ok=True)

    def using(name: str, made: str) -> Unit:
        source = f"package p; @maker.Make class {name} {{ int a = {made}.made(); }}"
        return Unit(pool.new_folder(), {f"p/{name}.java": source})

    with ExecutionPool(toolchain, [tmp_path], workers=1) as pool:
        units = [using("Tea", "MadeTea"), using("Tea", "MadeTea"), using("Pot", "MadeTea")]
        errors = pool.compile(units)
        assert [error is None for error in errors] == [True, True, False], errors
        assert "cannot find symbol" in str(errors[2])
        assert classes(units[0].folder) == {"Tea.class", "MadeTea.class"}


def test_nothing_to_compile(pool: ExecutionPool) -> None:
    assert pool.compile([]) == []
