"""What the names of tests say of what they test, and the words that names are made of (`testAddAll_two`)."""

import re
from collections.abc import Iterator
from functools import lru_cache

CLASS_PREFIX = re.compile(r"^(?:Test|IT)(?=[A-Z])")
CLASS_SUFFIX = re.compile(r"_?(?:Unit|Integration)?(?:Tests?|TestCases?|TestSuite|IT|ITCase|Spec)$")
METHOD_PREFIX = re.compile(r"^(?:tests?|should|verify|check)(?=[A-Z_\d])_?")
METHOD_SUFFIX = re.compile(r"_?Tests?$")
ENDING = re.compile(r"(?:ations?|ions?|ings?|ers?|ors?|ed|es|s|e)$")
PREPOSITION = re.compile(r"(?<=[a-z0-9])(?:With|Without|For|By|In|Of|On|From|To|When|And|Using)(?=[A-Z])")
SHORTEST_SUBJECT = 3
"""Letters of a word without its ending that says what something is about."""
WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")


def has_words(name: str, part: str) -> bool:
    """Return whether the words of `part` stand in a name, one behind the other."""
    inner, outer = _words(part), _words(name)
    return any(outer[start : start + len(inner)] == inner for start in range(len(outer) - len(inner) + 1))


@lru_cache(maxsize=10_000)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD_END.split(name) if word)


@lru_cache(maxsize=10_000)
def likeness(name: str, test_class: str) -> int:
    """Return how many words a name shares with a test class's, the last of which counts twice.

    The last is that before a preposition (`MocksWithConstructorTest`). Endings make no difference: `parse` is like
    `HtmlParserTest`.
    """
    about = CLASS_PREFIX.sub("", CLASS_SUFFIX.sub("", test_class))
    shared = set(_subjects(name)).intersection(_subjects(about))
    first = _subjects(PREPOSITION.split(about)[0])
    return len(shared) + (first[-1] in shared if first else 0)


@lru_cache(maxsize=10_000)
def _subjects(name: str) -> tuple[str, ...]:
    words = (ENDING.sub("", word) for part in name.split(".") for word in _words(part))
    return tuple(word for word in words if len(word) >= SHORTEST_SUBJECT)


def stems(class_name: str) -> Iterator[str]:
    """Yield what a test class's name says of the class under test, most specific first."""
    without_suffix = CLASS_SUFFIX.sub("", class_name)
    without_both = CLASS_PREFIX.sub("", without_suffix)
    yield from dict.fromkeys(
        name for name in (without_suffix, CLASS_PREFIX.sub("", class_name), without_both) if name and name != class_name
    )


def shortened(stem: str) -> Iterator[str]:
    """Yield a name without its last word, its last two words, …: `StringUtilsTrim` gives `StringUtils`, `String`."""
    for match in reversed(list(WORD_END.finditer(stem))):
        if match.start():
            yield stem[: match.start()]


def parts_of(test_name: str) -> list[str]:
    """Return what a test method's name says of the method under test: without `test`, and each part behind a `_`."""
    stem = METHOD_SUFFIX.sub("", METHOD_PREFIX.sub("", test_name))
    return [stem, *stem.split("_")[1:]]


def is_name(method: str, stem: str) -> bool:
    """Return whether a part of a test's name is a method's, whatever the case of its first letter."""
    return bool(stem) and method[:1].lower() == stem[:1].lower() and method[1:] == stem[1:]


def begins(method: str, stem: str, *later: str) -> bool:
    """Return whether a test's name begins with a method's and a word ends there, or a later part equals it."""
    if any(is_name(method, part) for part in later):
        return True
    head, rest = stem[: len(method)], stem[len(method) :]
    return is_name(method, head) and not rest[:1].islower()
