"""Which methods are tests and of which framework, and which of their statements a model should learn to write."""

import re
from collections.abc import Iterable, Iterator, Mapping

from tree_sitter import Node

from assertkd.java.calls import calls_in
from assertkd.java.source import text_of
from assertkd.java.structure import Assertion, JavaTest, Span

PACKAGES = {"org.junit.jupiter": "junit5", "org.testng": "testng", "org.junit": "junit4"}
"""Longer names first: `org.junit.jupiter` is no `org.junit` of JUnit 4."""
ANNOTATIONS = {
    "Test": "",
    "Theory": "junit4",
    "ParameterizedTest": "junit5",
    "RepeatedTest": "junit5",
    "TestTemplate": "junit5",
    "TestFactory": "junit5",
}
"""What marks a test, and the framework that it belongs to; "" where the imports must say it."""
DISABLING = frozenset({"Ignore", "Disabled"})
ASSERTION = re.compile(r"assert\w*|verify\w*|expect[A-Z]\w*|expect")
"""`fail` is left out: it claims nothing about a value."""
STUBBING = re.compile(r"and(Return|Throw|Answer|Stub|DelegateTo|Void)\w*|anyTimes|times|once|atLeastOnce")
"""What follows `expect` where it prepares a mock (EasyMock) and judges nothing."""


def framework_of_imports(imports: Iterable[str]) -> str:
    """Return the framework whose `@Test` a file imports; JUnit 4's where it imports none."""
    names = [name.removeprefix("static ") for name in imports]
    exact = [name for name in names if name.endswith(".Test")]
    for candidates in (exact, names):
        for package, framework in PACKAGES.items():
            if any(name.startswith(package + ".") for name in candidates):
                return framework
    return "junit4"


def annotations_of(declaration: Node) -> dict[str, str]:
    """Return the simple name of every annotation of a declaration, with the text of its arguments."""
    found = {}
    for modifiers in declaration.children:
        if modifiers.type != "modifiers":
            continue
        for node in modifiers.named_children:
            if node.type in ("marker_annotation", "annotation"):
                name = text_of(node.child_by_field_name("name")).rpartition(".")[2]
                found[name] = text_of(node.child_by_field_name("arguments"))
    return found


def test_of_method(
    method: Node, class_annotations: Mapping[str, str], framework: str, fields: Mapping[str, str]
) -> JavaTest | None:
    """Return a method as a test, or None where it is none.

    A `public void test*()` without annotation counts as one of JUnit 3; whether its class is a `TestCase` is for the
    caller to find out.

    Args:
        method: a `method_declaration`.
        class_annotations: of its class; TestNG's `@Test` there makes every public method a test.
        framework: that of the file's imports.
        fields: name to type of the fields that the test sees.
    """
    body = method.child_by_field_name("body")
    if body is None:
        return None
    own = annotations_of(method)
    name = text_of(method.child_by_field_name("name"))
    parameters = method.child_by_field_name("parameters")
    marks = [ANNOTATIONS[mark] for mark in own if mark in ANNOTATIONS]
    public = any(modifier.type == "public" for modifier in method.children[0].children)
    public_void = public and text_of(method.child_by_field_name("type")) == "void"
    configures = any(mark.startswith(("Before", "After", "DataProvider", "Factory")) for mark in own)
    if marks:
        found = marks[0] or framework
    elif framework == "testng" and "Test" in class_annotations and public_void and not configures:
        found = "testng"
    elif name.startswith("test") and public_void and parameters is not None and not parameters.named_children:
        found = "junit3"
    else:
        return None
    everything = {**class_annotations, **own}
    switched_off = any("enabled=false" in text.replace(" ", "") for text in everything.values())
    return JavaTest(
        name=name,
        framework=found,
        disabled=switched_off or not DISABLING.isdisjoint(everything),
        span=Span(method.start_byte, method.end_byte),
        body=Span(body.start_byte, body.end_byte),
        assertions=tuple(assertions_in(body)),
        calls=calls_in(body, fields, parameters),
    )


def assertions_in(body: Node) -> Iterator[Assertion]:
    """Yield the outermost assertion statements of a block, in their order."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        kind = _assertion_kind(node)
        if kind is not None:
            yield Assertion(kind, Span(node.start_byte, node.end_byte))
        else:
            waiting += reversed(node.named_children)


def _assertion_kind(statement: Node) -> str | None:
    """Return the name that an assertion statement calls, or None where the statement is no assertion.

    An assertion is a chain of calls that starts with `assert*`, `verify*` or `expect*`, qualified or not, such as
    `assertThat(x).isTrue()`, or the language's own `assert`.
    """
    if statement.type == "assert_statement":
        return "assert"
    if statement.type != "expression_statement":
        return None
    expression: Node | None = statement.named_children[0]
    found, names = None, []
    while expression is not None and expression.type in ("method_invocation", "field_access"):
        if expression.type == "method_invocation":
            name = text_of(expression.child_by_field_name("name"))
            names.append(name)
            found = name if ASSERTION.fullmatch(name) else found
        expression = expression.child_by_field_name("object")
    if found == "expect" and any(STUBBING.fullmatch(name) for name in names):
        return None
    return found
