"""Which statements of a test are assertions that a model should learn to write."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from assertkd.java.source import text_of
from assertkd.java.structure import Assertion, Span

NAME = re.compile(r"assert\w*|verify\w*|expect[A-Z]\w*|expect")
"""`fail` is left out: it claims nothing about a value."""

STUBBING = re.compile(r"and(Return|Throw|Answer|Stub|DelegateTo|Void)\w*|anyTimes|times|once|atLeastOnce")
"""What follows `expect` where it prepares a mock (EasyMock) and judges nothing."""


def assertions_in(body: Node) -> Iterator[Assertion]:
    """Yield the outermost assertion statements of a block, in their order."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        kind = assertion_kind(node)
        if kind is not None:
            yield Assertion(kind, Span(node.start_byte, node.end_byte))
        else:
            waiting += reversed(node.named_children)


def assertion_kind(statement: Node) -> str | None:
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
            found = name if NAME.fullmatch(name) else found
        expression = expression.child_by_field_name("object")
    if found == "expect" and any(STUBBING.fullmatch(name) for name in names):
        return None
    return found
