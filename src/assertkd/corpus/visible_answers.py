"""Gold assertions that stand in their own test beside the marker, where a model has only to copy them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from assertkd.corpus.placeholders import place_marker
from assertkd.java.regions import Token, code_tokens, regions, tokens_between
from assertkd.jsonl import LineError
from assertkd.records import MARKER
from assertkd.settings.data import VisibleAnswerPolicy

UNMARKED, STATEMENT, MARKER_LINE, COMMENT, STRING = (
    "statement of a test without marker",
    "statement elsewhere",
    "behind the marker",
    "comment",
    "string",
)
"""Where an assertion is shown, the plainest first."""
KINDS = (UNMARKED, STATEMENT, MARKER_LINE, COMMENT, STRING)

SHOWN = "show their own assertion in the test, where copying it is enough for an exact match"
"""What is said of records."""

MASK = "masked"
"""What a shown assertion becomes in a comment or a string; a statement becomes this as a comment."""

_CALLED = re.compile(r"assert\w*|verify\w*|expect\w*|fail\w*")
_SHORTEST = 3
"""Tokens of the shortest assertion that is looked for, `f()`."""


@dataclass(frozen=True, slots=True)
class VisibleAnswer:
    """A place where a test shows an assertion: one of `KINDS`, and where it stands, its semicolon included."""

    kind: str
    start: int
    end: int


def apply_visible_answer_policy(
    test: str, assertion: str, policy: VisibleAnswerPolicy, *, has_marker: bool = True
) -> tuple[str, str | None]:
    """Return a test treated as `data.on_visible_answer` says, and the plainest kind of place that showed the answer.

    Args:
        test: as for `find_visible_answers`, like `assertion` and `has_marker`.
        policy: `mask` replaces what the test shows; `keep` changes nothing.

    Raises:
        LineError: the test shows the assertion, and the policy is `reject`.
    """
    answers = find_visible_answers(test, assertion, has_marker=has_marker)
    kind = plainest_kind(answers)
    if kind is not None and policy == "reject":
        raise LineError(f"test_method shows the assertion ({kind})")
    return (masked(test, answers) if policy == "mask" else test), kind


def find_visible_answers(test: str, assertion: str, *, has_marker: bool = True) -> list[VisibleAnswer]:
    """Return the places where a test shows an assertion, in their order, however either is laid out.

    An assertion of several statements is shown where any of them is. What an assertion is called on (`Assert.`) and
    its final semicolon make no difference.

    Args:
        test: as it is given, with `MARKER` or without.
        assertion: the gold assertion.
        has_marker: whether the test says where the assertion goes.
    """
    # Most tests show nothing; this is told without a look at their tokens.
    statements = [one for one in _statements(assertion) if all(token in test for token in one)]
    if not statements:
        return []
    tokens, kinds = _tokens_by_kind(test, STATEMENT if has_marker else UNMARKED)
    answers: set[VisibleAnswer] = set()
    for first, behind in _occurrences(tokens, statements):
        kind, last = kinds[first], behind - 1
        if kind in (UNMARKED, STATEMENT):
            first = _start_of_chain(tokens, first)
            last += behind < len(tokens) and tokens[behind].text == ";"
        answers.add(VisibleAnswer(kind, tokens[first].start, tokens[last].end))
    return sorted(answers, key=lambda one: (one.start, one.end))


def plainest_kind(answers: Sequence[VisibleAnswer]) -> str | None:
    """Return the plainest kind of these places; None where there are none."""
    return min((one.kind for one in answers), key=KINDS.index, default=None)


def masked(test: str, answers: Sequence[VisibleAnswer]) -> str:
    """Return a test without what it shows.

    A statement becomes `/* masked */;`, with the marker behind it if it holds it, and a text in a comment or a string
    `masked`. The last statement of a test without marker becomes the marker: there the assertion belongs.
    """
    apart: list[VisibleAnswer] = []
    for one in sorted(answers, key=lambda one: (one.start, -one.end)):
        if not apart or one.start >= apart[-1].end:
            apart.append(one)
    place = next((one for one in reversed(apart) if one.kind == UNMARKED), None)
    for one in reversed(apart):
        if one is place:
            test = place_marker(test, one.start, one.end)
            continue
        text = MASK
        if one.kind in (UNMARKED, STATEMENT):
            shown = test[one.start : one.end]
            # A slash before the comment would make it one to the end of the line.
            text = (
                " " * test.endswith("/", 0, one.start)
                + f"/* {MASK} */"
                + ";" * shown.endswith(";")
                + f"\n{MARKER}\n" * (MARKER in shown)
            )
        test = test[: one.start] + text + test[one.end :]
    return test


def _tokens_by_kind(test: str, kind_of_code: str) -> tuple[list[Token], list[str]]:
    """Return the tokens of the code, then those of each comment and literal after an empty one, and their kinds."""
    tokens = code_tokens(test)
    kinds = [kind_of_code] * len(tokens)
    for region in regions(test):
        if region.kind == "code":
            continue
        tokens.append(Token("", region.start, region.start))
        tokens += tokens_between(test, region.start + 1, region.end - (region.kind == "literal"))
        is_behind_marker = test.startswith(MARKER, region.start)
        kind = STRING if region.kind == "literal" else MARKER_LINE if is_behind_marker else COMMENT
        kinds += [kind] * (len(tokens) - len(kinds))
    return tokens, kinds


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


def _occurrences(tokens: Sequence[Token], statements: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Yield where a statement's tokens stand in a row: the first, and the one behind the last."""
    # A character for each token, because finding a text in another takes linear time.
    signs: dict[str, str] = {}
    for text in chain.from_iterable(statements):
        signs.setdefault(text, chr(len(signs) + 1))
    row = "".join(signs.get(token.text, "\0") for token in tokens)
    for wanted in dict.fromkeys("".join(signs[text] for text in statement) for statement in statements):
        first = row.find(wanted)
        while first >= 0:
            yield first, first + len(wanted)
            first = row.find(wanted, first + len(wanted))


def _start_of_chain(tokens: Sequence[Token], first: int) -> int:
    while first >= 2 and tokens[first - 1].text == "." and tokens[first - 2].text.isidentifier():
        first -= 2
    return first
