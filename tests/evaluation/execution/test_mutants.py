"""Mutants of a focal method: which faults are made, and that they stay inside the method."""

import javalang
import pytest

from assertkd.evaluation.execution.mutants import mutants_of
from assertkd.metrics.lexer import java_tokens
from assertkd.synthetic import generate


def class_of(body: str) -> str:
    return f"package p;\n\npublic class Holder {{\n    private int size = 3; // 1 < 2\n\n{body}\n}}\n"


def changes(method: str) -> set[str]:
    """Return the mutated methods, blanks reduced."""
    source = class_of(method)
    head, tail = source.split(method)
    found = set()
    for mutant in mutants_of(source, method, 100):
        assert mutant.startswith(head)
        assert mutant.endswith(tail)
        found.add(" ".join(mutant[len(head) : len(mutant) - len(tail)].split()))
    return found


@pytest.mark.parametrize(
    ("method", "mutated"),
    [
        (
            "boolean f(int a) { return a < 2; }",
            {
                "boolean f(int a) { return a >= 2; }",
                "boolean f(int a) { return a <= 2; }",
                "boolean f(int a) { return a < 3; }",
            },
        ),
        (
            "int f(int a) { return a + size; }",
            {"int f(int a) { return a - size; }", "int f(int a) { return 0; }"},
        ),
        (
            "boolean f() { return a && g(); }",
            {"boolean f() { return a || g(); }", "boolean f() { return !(a && g()); }"},
        ),
        ('String f() { return "x"; }', {'String f() { return ""; }'}),
        ("List<String> f() { return list; }", {"List<String> f() { return null; }"}),
        ("void f() { size++; }", {"void f() { size--; }"}),
        ("void f(int a) { size += a; }", {"void f(int a) { size -= a; }"}),
        (
            "void f() { if (isOpen()) { close(); } }",
            {"void f() { if (!(isOpen())) { close(); } }"},
        ),
        ("boolean f() { return !open; }", {"boolean f() { return open; }"}),
        ("boolean f() { return true; }", {"boolean f() { return false; }"}),
        ("void f() { g(); }", set()),
        # A lambda's value is not the method's.
        ("int f() { g(() -> { return x; }); return y; }", {"int f() { g(() -> { return x; }); return 0; }"}),
        # What is a sign inside a text is no operator, and text is no expression.
        ('String f() { return g("a < b + 1"); }', {'String f() { return g(""); }', 'String f() { return ""; }'}),
    ],
)
def test_every_operator_makes_its_faults(method: str, mutated: set[str]) -> None:
    assert changes(method) == mutated


def test_no_mutant_equals_the_original_or_another() -> None:
    for record in generate(150, 3):
        source = record.extra["class_source"]
        found = [java_tokens(mutant) for mutant in mutants_of(source, record.focal_method, 100)]
        assert len({java_tokens(source), *found}) == len(found) + 1, record.id


def test_mutants_of_generated_classes_parse_and_are_the_same_each_time() -> None:
    made = 0
    for record in generate(60, 4):
        source = record.extra["class_source"]
        mutants = mutants_of(source, record.focal_method, 8)
        assert mutants == mutants_of(source, record.focal_method, 8)
        assert mutants == mutants_of(source, record.focal_method, 100)[:8]
        for mutant in mutants:
            javalang.parse.parse(mutant)
        made += len(mutants)
    assert made > 120


def test_kinds_of_fault_take_turns() -> None:
    method = "int f(int a) { if (a < 1 && a > 2 && a == 3) { return 4; } return a + a; }"
    first = [mutant.split("\n")[5] for mutant in mutants_of(class_of(method), method, 4)]
    assert set(first) == {
        method.replace("a < 1 && a > 2 &&", "a < 1 && a > 2 ||"),
        method.replace("a + a", "a - a"),
        method.replace("a < 1", "a < 2"),
        method.replace("return 4", "return 0"),
    }


def test_a_method_is_found_whatever_its_blanks_and_comments() -> None:
    source = class_of("    int f()\n    {\n        // why\n        return  1 ;\n    }")
    [zero, two] = sorted(
        mutant.count("2") - source.count("2") for mutant in mutants_of(source, "int f() { return 1; }", 9)
    )
    assert (zero, two) == (0, 1)


def test_a_method_that_the_class_does_not_hold_has_no_mutants() -> None:
    assert mutants_of(class_of("int f() { return 1; }"), "int g() { return 1; }", 9) == []
    assert mutants_of(class_of("abstract int f();"), "abstract int f();", 9) == []
    assert mutants_of("no java at all {{{", "int f() { return 1; }", 9) == []


def test_letters_beyond_ascii_do_not_shift_the_fault() -> None:
    method = 'String f(int a) { return a < 1 ? "größer" : "日本"; }'
    assert 'String f(int a) { return a >= 1 ? "größer" : "日本"; }' in changes(method)


def test_of_equal_methods_the_one_on_the_line_is_altered() -> None:
    method = "int f(int n) { return n + 1; }"
    source = f"class A {{\n  class B {{ {method} }}\n  class C {{ {method} }}\n}}\n"
    for line, altered in ((2, 1), (3, 2), (None, 1), (9, 1)):
        for mutant in mutants_of(source, method, 3, line):
            lines = [before != after for before, after in zip(source.split("\n"), mutant.split("\n"), strict=True)]
            assert lines.index(True) == altered
