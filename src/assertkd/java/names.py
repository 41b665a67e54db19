"""Names as the words that they are made of: `testAddAll_two` as test, add, all, two."""

import re
from functools import lru_cache

WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")


def has_words(name: str, part: str) -> bool:
    """Return whether the words of `part` stand in a name, one behind the other."""
    inner, outer = _words(part), _words(name)
    return any(outer[start : start + len(inner)] == inner for start in range(len(outer) - len(inner) + 1))


@lru_cache(maxsize=10_000)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD_END.split(name) if word)
