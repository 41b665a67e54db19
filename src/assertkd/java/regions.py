"""Comments, literals and code of a Java text, told apart without parsing it, so that broken code has them too."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["code", "comment", "literal"]

COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
LITERAL = (
    r'"""(?:\\.|[^\\])*?(?:"""|\\?\Z)|"(?:\\[^\n]|[^"\\\n])*(?:"|\\?$)' + r"|'(?:\\[^\n][0-9a-fA-Fu]{0,6}|[^'\\\n])'"
)
"""A string without its end goes on to the end of its line, a comment or text block to the end of the text, so that each
character is looked at once."""

_APART = re.compile(rf"(?P<comment>{COMMENT})|(?P<literal>{LITERAL})", re.DOTALL | re.MULTILINE)
_TOKEN = re.compile(rf"{LITERAL}|\w+|[^\w\s]", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a text that is a comment or a string or character literal, or the code between two of them."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a literal or a single sign, and where it stands."""

    text: str
    start: int
    end: int


def regions(text: str) -> Iterator[Region]:
    """Yield the regions of a text in their order; together they are the whole text."""
    position = 0
    for match in _APART.finditer(text):
        if match.start() > position:
            yield Region("code", position, match.start())
        yield Region("comment" if match.lastgroup == "comment" else "literal", match.start(), match.end())
        position = match.end()
    if position < len(text):
        yield Region("code", position, len(text))


def tokens_between(text: str, start: int, end: int) -> list[Token]:
    """Return the tokens of a stretch of a text."""
    return [Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text, start, end)]


def code_tokens(text: str) -> list[Token]:
    """Return the tokens of a text without its comments; a literal is one token."""
    found: list[Token] = []
    for region in regions(text):
        if region.kind == "code":
            found += tokens_between(text, region.start, region.end)
        elif region.kind == "literal":
            found.append(Token(text[region.start : region.end], region.start, region.end))
    return found
