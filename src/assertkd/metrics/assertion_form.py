"""Assertion form: the prediction is an assertion, right or wrong."""

import re

from tree_sitter import Node

from assertkd.java.assertions import assertion_of
from assertkd.metrics.syntax_validity import only_statement

ASSERTION_NAME = re.compile(r"assert\w*|fail|verify\w*|expect\w*")


def assertion_form(prediction: str, reference: str = "") -> float:
    """Return 1.0 where the prediction is one statement that calls an assertion, else 0.0. The reference plays no part.

    An assertion is a call of `assert*`, `fail`, `verify*` or `expect*`, qualified or not, or a chain of calls that
    starts with one, such as `assertThat(x).isTrue()`; Java's own `assert` statement counts too, and so does what else
    `java.assertions` knows: `E e = assertThrows(…)`, `then(x).isNull()`, `all.forEach(x -> assertTrue(x))`. A call
    among the arguments does not.
    """
    statement = only_statement(prediction)
    return float(statement is not None and is_assertion(statement))


def is_assertion(statement: Node) -> bool:
    """Return whether a statement is Java's `assert` or calls an assertion, as `assertion_form` says."""
    if statement.type == "assert_statement" or assertion_of(statement) is not None:
        return True
    return statement.type == "expression_statement" and calls_assertion(statement.named_children[0])


def calls_assertion(expression: Node | None) -> bool:
    """Return whether an expression is a chain of calls with an assertion's among them."""
    while expression is not None and expression.type in ("method_invocation", "field_access"):
        name = expression.child_by_field_name("name")
        if name is not None and name.text is not None and ASSERTION_NAME.fullmatch(name.text.decode()):
            return True
        expression = expression.child_by_field_name("object")
    return False
