"""What a family of behaviour returns: a class, the steps of a test, and what is claimed at its end."""

from dataclasses import dataclass

from assertkd.synthetic import java


@dataclass(frozen=True, slots=True)
class Claim:
    """What an assertion says, before a style decides how it is written.

    Attributes:
        kind: the JUnit method, such as `assertEquals`.
        actual: Java expression of the value that is judged; for `assertThrows` the call that throws.
        expected: Java expression of the value to compare with, "" where the kind needs none.
        type: Java type of `actual`, with which it can be put into a local; "" where it is not to be.
        guessable: whether a reader of focal method and test can name `actual` without having seen it.
            Where not, the test puts it into a local, so that the assertion follows from what is seen.
    """

    kind: str
    actual: str
    expected: str = ""
    type: str = ""
    guessable: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """One class and one test of it.

    Attributes:
        class_name: simple name of the class under test.
        body: its members, separated by blank lines (a method holds none).
        focal: name of the method under test, a member of `body`.
        steps: what the test does before the final claim, each a Java statement or an earlier claim.
        claim: the final claim.
        outcome: infinitive phrase for the test's name, such as "return null"; may be empty.
        condition: phrase for the test's name, such as "when empty"; may be empty.
        implements: the class's implements clause, without the keyword; may be empty.
    """

    class_name: str
    body: str
    focal: str
    steps: tuple[str | Claim, ...]
    claim: Claim
    outcome: str = ""
    condition: str = ""
    implements: str = ""


def equal(expected: object, actual: str, type: str = "int", *, guessable: bool = True) -> Claim:
    """Claim that `actual` equals `expected`, both Java expressions."""
    return Claim("assertEquals", actual, str(expected), type, guessable)


def equal_text(expected: str | None, actual: str, *, guessable: bool = True) -> Claim:
    """Claim that `actual` is the string `expected`, or null where that is None."""
    if expected is None:
        return Claim("assertNull", actual, type="String", guessable=guessable)
    return Claim("assertEquals", actual, java.text(expected), "String", guessable)


def verdict(value: bool, actual: str, *, guessable: bool = True, type: str = "boolean") -> Claim:
    """Claim that the boolean `actual` is `value`; pass `type=""` to keep it out of a local."""
    return Claim("assertTrue" if value else "assertFalse", actual, type=type, guessable=guessable)


def not_null(actual: str, type: str = "") -> Claim:
    """Claim that `actual` is not null."""
    return Claim("assertNotNull", actual, type=type)


def is_null(actual: str, type: str = "") -> Claim:
    """Claim that `actual` is null."""
    return Claim("assertNull", actual, type=type)


def identical(same: bool, expected: str, actual: str, type: str = "") -> Claim:
    """Claim that `actual` is, or is not, the very object `expected`."""
    return Claim("assertSame" if same else "assertNotSame", actual, expected, type)


def different(unexpected: str, actual: str, type: str = "") -> Claim:
    """Claim that `actual` does not equal `unexpected`."""
    return Claim("assertNotEquals", actual, unexpected, type)


def equal_array(element_type: str, literals: list[str] | list[int], actual: str, *, guessable: bool = True) -> Claim:
    """Claim that the array `actual` holds exactly the given literals."""
    expected = java.array(element_type, literals)
    return Claim("assertArrayEquals", actual, expected, f"{element_type}[]", guessable)


def throws(exception: str, call: str) -> Claim:
    """Claim that the Java expression `call` throws `exception`."""
    return Claim("assertThrows", call, exception)
