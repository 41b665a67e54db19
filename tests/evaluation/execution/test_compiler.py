"""The warm compiler: a verdict on every unit, whatever stands beside it."""

from pathlib import Path

import pytest

from assertkd.evaluation.execution.compiler import Unit
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
    deep = "int f() { return " + "(" * 20_000 + "1" + ")" * 20_000 + "; }"
    units = [
        unit(pool, "Before", "int a;"),
        unit(pool, "Deep", deep),
        unit(pool, "After", "int a;"),
    ]
    errors = pool.compile(units)
    assert [error is None for error in errors] == [True, False, True]


def test_nothing_to_compile(pool: ExecutionPool) -> None:
    assert pool.compile([]) == []
