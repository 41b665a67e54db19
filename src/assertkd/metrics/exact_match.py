"""Exact match: the prediction is the reference, token for token."""

from assertkd.metrics.assertion_form import ASSERTION_NAME
from assertkd.metrics.lexer import java_tokens

ASSERTION_CLASSES = frozenset(
    {
        "Assert",
        "Assertions",
        "AssertionsForClassTypes",
        "AssertionsForInterfaceTypes",
        "Java6Assertions",
        "MatcherAssert",
        "Mockito",
        "TestCase",
        "Truth",
    }
)


def exact_match(prediction: str, reference: str) -> float:
    """Return 1.0 where both have the same Java tokens, else 0.0. Values (numbers, strings) are compared as they are."""
    return float(java_tokens(prediction) == java_tokens(reference))


def exact_match_lenient(prediction: str, reference: str) -> float:
    """Return 1.0 where both have the same Java tokens once assertion classes are no longer named, else 0.0.

    `Assert.assertTrue(x)`, `org.junit.Assert.assertTrue(x)` and `assertTrue(x)` are equal; `TestUtils.assertTrue(x)`
    is another method.
    """
    return float(without_qualifiers(java_tokens(prediction)) == without_qualifiers(java_tokens(reference)))


def without_qualifiers(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Return `tokens` without the names of assertion classes (and their packages) that qualify an assertion's name."""
    kept: list[str] = []
    position = 0
    while position < len(tokens):
        if qualifies_assertion(tokens, position):
            while len(kept) >= 2 and kept[-1] == "." and kept[-2].isidentifier():
                del kept[-2:]
            position += 2
        else:
            kept.append(tokens[position])
            position += 1
    return tuple(kept)


def qualifies_assertion(tokens: tuple[str, ...], position: int) -> bool:
    """Return whether `tokens[position:]` starts with an assertion class, a dot and an assertion's name."""
    return (
        tokens[position] in ASSERTION_CLASSES
        and tokens[position + 1 : position + 2] == (".",)
        and position + 2 < len(tokens)
        and ASSERTION_NAME.fullmatch(tokens[position + 2]) is not None
    )
