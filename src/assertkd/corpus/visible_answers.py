"""Gold assertions that stand in their own test beside the marker, where a model has only to copy them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assertkd.corpus.placeholders import place_marker
from assertkd.java.regions import Token, code_tokens, regions, tokens_between
from assertkd.records import MARKER

UNMARKED, STATEMENT, MARKER_LINE, COMMENT, STRING = (
    "statement of a test without marker",
    "statement elsewhere",
    "behind the marker",
    "comment",
    "string",
)
"""Where an assertion is shown, the plainest first."""
KINDS = (UNMARKED, STATEMENT, MARKER_LINE, COMMENT, STRING)

SHOWN = "test_method shows the assertion ({})"
"""Why a record is rejected, for a kind."""

MASK = "masked"
"""What a shown assertion becomes in a comment or a string; a statement becomes this as a comment."""

_CALLED = re.compile(r"assert\w*|verify\w*|expect\w*|fail\w*")
_SHORTEST = 3
"""Tokens of the shortest assertion that is looked for, `f()`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A place where a test shows an assertion: one of `KINDS`, and where it stands, its semicolon included."""

    kind: str
    start: int
    end: int


def find_shown(test: str, assertion: str, *, has_marker: bool = True) -> list[Shown]:
    """Return the places where a test shows an assertion, in their order, however either is laid out.

    An assertion of several statements is shown where any of them is. What an assertion is called on (`Assert.`) and
    its final semicolon make no difference.

    Args:
        test: as it is given, with `MARKER` or without.
        assertion: the gold assertion.
        has_marker: whether the test says where the assertion goes.
    """
    statements = [one for one in _statements(assertion) if one[0] in test]
    if not statements:
        return []
    found: list[Shown] = []
    code = code_tokens(test)
    for statement in statements:
        for first, behind in _occurrences(code, statement):
            end = behind < len(code) and code[behind].text == ";"
            start = _start_of_chain(code, first)
            kind = STATEMENT if has_marker else UNMARKED
            found.append(Shown(kind, code[start].start, code[behind if end else behind - 1].end))
        for region in regions(test):
            if region.kind == "code":
                continue
            inner = tokens_between(test, region.start + 1, region.end - (region.kind == "literal"))
            text = test[region.start : region.end]
            kind = STRING if region.kind == "literal" else MARKER_LINE if text.startswith(MARKER) else COMMENT
            found += [
                Shown(kind, inner[first].start, inner[behind - 1].end)
                for first, behind in _occurrences(inner, statement)
            ]
    return sorted(set(found), key=lambda one: (one.start, one.end))


def kind_of(shown: Sequence[Shown]) -> str | None:
    """Return the plainest kind of these places; None where there are none."""
    return min((one.kind for one in shown), key=KINDS.index, default=None)


def masked(test: str, shown: Sequence[Shown]) -> str:
    """Return a test without what it shows.

    A statement becomes `/* masked */;`, and a text in a comment or a string `masked`. The last statement of a test
    without marker becomes the marker: there the assertion belongs.
    """
    place = next((one for one in reversed(shown) if one.kind == UNMARKED), None)
    beginning = len(test)
    for one in reversed(shown):
        if one.end > beginning:
            continue
        beginning = one.start
        if one is place:
            test = place_marker(test, one.start, one.end)
            continue
        text = MASK
        if one.kind in (UNMARKED, STATEMENT):
            text = f"/* {MASK} */" + ";" * test[one.start : one.end].endswith(";")
        test = test[: one.start] + text + test[one.end :]
    return test


def _statements(assertion: str) -> list[list[str]]:
    """Return the tokens of each statement, without what its call is qualified with and without its semicolon."""
    statements: list[list[str]] = [[]]
    depth = 0
    for token in code_tokens(assertion):
        depth += (token.text in "({") - (token.text in ")}") if len(token.text) == 1 else 0
        if token.text == ";" and depth <= 0:
            statements.append([])
        else:
            statements[-1].append(token.text)
    return [one for one in map(_unqualified, statements) if len(one) >= _SHORTEST]


def _unqualified(statement: list[str]) -> list[str]:
    start = 0
    while statement[start + 1 : start + 2] == ["."] and not _CALLED.fullmatch(statement[start]):
        start += 2
    return statement[start:] if start < len(statement) and _CALLED.fullmatch(statement[start]) else statement


def _occurrences(tokens: Sequence[Token], wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Return where these tokens stand in a row: the first, and the one behind the last."""
    size = len(wanted)
    return [
        (first, first + size)
        for first in range(len(tokens) - size + 1)
        if tokens[first].text == wanted[0]
        and all(token.text == text for token, text in zip(tokens[first : first + size], wanted, strict=True))
    ]


def _start_of_chain(tokens: Sequence[Token], first: int) -> int:
    while first >= 2 and tokens[first - 1].text == "." and tokens[first - 2].text.isidentifier():
        first -= 2
    return first
