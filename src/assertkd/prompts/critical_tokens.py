"""Critical tokens: the words of a test that carry its meaning, and the pieces of a target that belong to one."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from assertkd.files import read_json

CRITICAL_TOKENS = Path(__file__).with_name("critical_tokens.json")
"""The list: category to its group and its tokens (identifiers, keywords, annotations with their `@`, operators)."""

_IDENTIFIER_CHARACTER = r"[\w$]"


def critical_pieces(text: str, offsets: Iterable[Sequence[int]]) -> list[bool]:
    """Return, for every piece of `text`, whether it is inside critical tokens.

    A critical token must be a whole word: no identifier character (letter, digit, `_`, `$`) before or after it.
    Operators match anywhere, the longest first, so that `!=` is not a `!`. White space at a piece's ends is ignored; a
    piece of white space only, or an empty one, is not critical.

    Args:
        text: the tokenised text.
        offsets: each piece's first character and the one after its last, as from a fast tokenizer.
    """
    inside = bytearray(len(text))
    for match in _critical_token().finditer(text):
        inside[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    marks = []
    for start, end in offsets:
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        last = start + len(piece.rstrip())
        marks.append(first < last and 0 not in inside[first:last])
    return marks


@cache
def critical_tokens() -> frozenset[str]:
    """Return the tokens of the list."""
    return frozenset(token for category in read_json(CRITICAL_TOKENS).values() for token in category["tokens"])


@cache
def _critical_token() -> re.Pattern[str]:
    tokens = sorted(critical_tokens(), key=len, reverse=True)
    words = "|".join(re.escape(token) for token in tokens if re.match(_IDENTIFIER_CHARACTER, token[-1]))
    operators = "|".join(re.escape(token) for token in tokens if not re.match(_IDENTIFIER_CHARACTER, token[-1]))
    return re.compile(f"(?<!{_IDENTIFIER_CHARACTER})(?:{words})(?!{_IDENTIFIER_CHARACTER})|{operators}")
