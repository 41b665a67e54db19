"""Which statements are assertions, and which tell or ask mocks something, by the names that they call."""

import re
from collections.abc import Sequence

from tree_sitter import Node

from assertkd.java.source import child_text

NAME = re.compile(r"assert\w*|verify\w*|expect(?:[A-Z]\w*)?|checkThat|andExpect\w*|untilAsserted")
"""What assertions are called. `fail` is left out: it claims nothing about a value."""
VALUE = re.compile(r"assert\w*|expectThrows\w*")
"""Assertions whose value may be kept, as `E e = assertThrows(…)`."""
EXPECTS = re.compile(r"expect(?:Message|Cause|Failure)?")
"""Assertions of what the test calls after them (JUnit 4's `ExpectedException`)."""
BDD = re.compile(
    r"should\w*|(?:is|has|have|does|do|contains?|starts|ends|matches|satisfies|as|extracting)(?:[A-Z]\w*)?"
)
"""What follows `then(x)` (AssertJ, BDDMockito)."""
RESPONSE = re.compile(r"statusCode|statusLine|body|headers?|cookies?|contentType|time|spec|assertThat")
"""What follows `.then()` (REST Assured)."""

STUB = re.compile(
    r"(?:then|will|do)(?:Return|Throw|Answer|Nothing|DoNothing|CallRealMethod|DelegateTo)\w*"
    r"|and(?:Return|Throw|Answer|Stub|DelegateTo|Void|Respond)\w*"
    r"|expect(?:LastCall|New|NiceNew|StrictNew|Private)\w*|whenNew"
)
"""What prepares a mock (Mockito, EasyMock, PowerMock, Spring's mock server)."""
EXPECTED_TIMES = re.compile(r"anyTimes|times|once|atLeastOnce")
"""What prepares a mock after `expect`."""
INTERACTION = re.compile(r"verify(?:New|Static|Private|(?:No|Zero)(?:More)?Interactions)?|should\w*")
"""What asks a mock for its calls."""
MOCKS = re.compile(r"(?:create)?(?:nice|Nice|strict|Strict|partial|Partial)?[mM]ock")
"""What makes a mock."""


def assertion_of(statement: Node) -> tuple[str, list[Node]] | None:
    """Return the name that an assertion statement calls first, and the calls whose names make it an assertion.

    An assertion is Java's own `assert`, or a chain of calls with an assertion's among them, such as
    `assertThat(x).isTrue()`; its value may be kept, and it may stand in a lambda: `all.forEach(x -> assertTrue(x))`.
    The name is that of a chain's first such call, `assert` for Java's own. None where the statement is no assertion,
    prepares a mock, or fails whatever happens (`assertTrue("text", false)`).
    """
    if statement.type == "assert_statement":
        return None if statement.named_children[0].type == "false" else ("assert", [])
    expression, kept = _expression(statement)
    return None if expression is None else _assertion_in(expression, kept)


def mock_calls_of(statement: Node) -> list[Node]:
    """Return the calls by whose names a statement prepares a mock or asks it for its calls; none where it does not."""
    expression, _ = _expression(statement)
    calls = _chain(expression)
    names = [child_text(call, "name") for call in calls]
    stubs = _stubs(calls, names)
    # `verify(mock).run()` runs a mock, `verifier.verify(text)` does not.
    followed = [call for call, name in zip(calls[1:], names[1:], strict=True) if INTERACTION.fullmatch(name)]
    alone = [call for call, name in zip(calls, names, strict=True) if INTERACTION.fullmatch(name) and name != "verify"]
    return stubs or followed or alone


def _expression(statement: Node) -> tuple[Node | None, bool]:
    """Return the expression that a statement runs, and whether it keeps its value."""
    if statement.type == "local_variable_declaration":
        declarators = statement.children_by_field_name("declarator")
        return (declarators[0].child_by_field_name("value") if len(declarators) == 1 else None), True
    if statement.type != "expression_statement":
        return None, False
    expression = statement.named_children[0]
    if expression.type == "assignment_expression":
        return expression.child_by_field_name("right"), True
    return expression, False


def _assertion_in(expression: Node, kept: bool) -> tuple[str, list[Node]] | None:
    calls = _chain(expression)
    names = [child_text(call, "name") for call in calls]
    if not calls or _stubs(calls, names) or _always_fails(calls[0], names[0]):
        return None
    if kept:
        claims = VALUE.fullmatch(names[-1]) and (len(calls) > 1 or names[0] != "assertThat")
        return (names[-1], calls[-1:]) if claims else None
    found = [call for call, name in zip(calls, names, strict=True) if NAME.fullmatch(name)]
    found = found or _bdd(calls, names) or _waits_or_expects(calls, names)
    if found:
        return child_text(found[-1], "name"), found
    for call in calls:
        for argument in (call.child_by_field_name("arguments") or call).named_children:
            body = argument.child_by_field_name("body") if argument.type == "lambda_expression" else None
            inner = _assertion_in(body, kept=False) if body is not None else None
            if inner is not None:
                return inner
    return None


def _chain(expression: Node | None) -> list[Node]:
    """Return the calls of a chain, the last one first."""
    calls = []
    while expression is not None and expression.type in ("method_invocation", "field_access"):
        if expression.type == "method_invocation":
            calls.append(expression)
        expression = expression.child_by_field_name("object")
    return calls


def _stubs(calls: Sequence[Node], names: Sequence[str]) -> list[Node]:
    found = [call for call, name in zip(calls, names, strict=True) if STUB.fullmatch(name)]
    if not found and "expect" in names and any(EXPECTED_TIMES.fullmatch(name) for name in names):
        found = [calls[names.index("expect")]]
    return found


def _always_fails(call: Node, name: str) -> bool:
    arguments = call.child_by_field_name("arguments")
    wrong = {"assertTrue": "false", "assertFalse": "true"}.get(name)
    return arguments is not None and any(argument.type == wrong for argument in arguments.named_children)


def _bdd(calls: Sequence[Node], names: Sequence[str]) -> list[Node]:
    """Return the call of `then` where it begins an assertion."""
    for place, name in enumerate(names):
        if name == "then" and place:
            arguments = calls[place].child_by_field_name("arguments")
            takes = bool(arguments is not None and arguments.named_children)
            follows = names[:place]
            if place == len(names) - 1 and takes and BDD.fullmatch(follows[-1]):
                return [calls[place]]
            if not takes and any(RESPONSE.fullmatch(name) for name in follows):
                return [calls[place]]
    return []


def _waits_or_expects(calls: Sequence[Node], names: Sequence[str]) -> list[Node]:
    """Return the call that claims something in `await().until(…)` (Awaitility) or `expect.that(x)` (Truth's rule)."""
    if "await" in names[1:] and names[0].startswith("until"):
        return list(calls[:1])
    return [
        call
        for call, name in zip(calls, names, strict=True)
        if name == "that" and child_text(call, "object") == "expect"
    ]


def makes_mock(value: Node | None) -> bool:
    """Return whether an expression is a call that makes a mock."""
    return value is not None and value.type == "method_invocation" and bool(MOCKS.fullmatch(child_text(value, "name")))
