"""The warm compiler: a verdict on every unit, whatever stands beside it."""

from pathlib import Path

import pytest

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.pool import ExecutionPool

pytestmark = pytest.mark.java


def unit(execution_pool: ExecutionPool, name: str, body: str) -> Unit:
    return Unit(execution_pool.new_folder(), {f"{name}.java": f"public class {name} {{ {body} }}"})


def classes(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.class")}


def test_units_fail_by_themselves(execution_pool: ExecutionPool) -> None:
    units = [
        unit(execution_pool, "Sound", "static class Inner { } Runnable lambda = () -> { };"),
        unit(execution_pool, "Unparsable", "int f( {"),
        unit(execution_pool, "Untyped", 'int f() { return "text"; }'),
        unit(execution_pool, "Unfinished", "int f() { }"),
        unit(execution_pool, "Unknown", "Missing f;"),
        unit(execution_pool, "Checked", "void f() { throw new Exception(); }"),
        unit(execution_pool, "Last", "int f() { return 1; }"),
    ]
    errors = execution_pool.compile(units)
    assert [error is None for error in errors] == [True, False, False, False, False, False, True]
    assert "incompatible types" in str(errors[2])
    assert "missing return statement" in str(errors[3])
    assert "unreported exception" in str(errors[5])
    assert classes(units[0].folder) == {"Sound.class", "Sound$Inner.class"}
    assert classes(units[6].folder) == {"Last.class"}
    for failed in units[1:6]:
        assert classes(failed.folder) == set()


def test_units_may_declare_the_same_types(execution_pool: ExecutionPool) -> None:
    first, second = unit(execution_pool, "Same", "int a = 1;"), unit(execution_pool, "Same", "int a = 2; Undeclared b;")
    third = unit(execution_pool, "Same", "long a = 3;")
    errors = execution_pool.compile([first, second, third])
    assert [error is None for error in errors] == [True, False, True]
    assert classes(first.folder) == classes(third.folder) == {"Same.class"}
    hidden = [unit(execution_pool, name, "} class Hidden {") for name in ("One", "Two")]
    assert execution_pool.compile(hidden) == [None, None], "a second type of a file does not collide either"


def test_a_unit_may_hold_several_files(execution_pool: ExecutionPool) -> None:
    folder = execution_pool.new_folder()
    sources = {
        "a/One.java": "package a; public class One { b.Two two; }",
        "b/Two.java": "package b; public class Two { }",
    }
    assert execution_pool.compile([Unit(folder, sources)]) == [None]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.class")) == ["a/One.class", "b/Two.class"]


def test_text_that_breaks_the_compiler_hurts_no_other_unit(execution_pool: ExecutionPool) -> None:
    deep = "int f() { return " + "(" * 20_000 + "1" + ")" * 20_000 + "; }"
    units = [
        unit(execution_pool, "Before", "int a;"),
        unit(execution_pool, "Deep", deep),
        unit(execution_pool, "After", "int a;"),
    ]
    errors = execution_pool.compile(units)
    assert [error is None for error in errors] == [True, False, True]


def test_nothing_to_compile(execution_pool: ExecutionPool) -> None:
    assert execution_pool.compile([]) == []
