"""Cuts an assertion out of its test, and code out of its file, as records show them."""

import re

from assertkd.java.structure import Span
from assertkd.records import MARKER

TEXT_BLOCK = '"""'
COMMENT_AHEAD = re.compile(r"[ \t]*(?://|/\*|\n|$)")


def code_at(source: bytes, span: Span) -> str:
    """Return a declaration's text with the indentation of its first line taken off every line."""
    text = source[span.start : span.end].decode("utf-8")
    return _dedented(text, _indentation(source, span.start))


def cut_assertion(source: bytes, test: Span, assertion: Span) -> tuple[str, str]:
    """Return a test with `MARKER` in place of an assertion, and the assertion; both without their indentation.

    With the assertion put back, the test has the tokens that it had. The marker is a line comment and gets a line of
    its own: code before it on the line of the assertion stays there, code behind it goes to the next.
    """
    before = source[test.start : assertion.start].decode("utf-8")
    after = source[assertion.end : test.end].decode("utf-8")
    inner = _indentation(source, assertion.start)
    if before.rpartition("\n")[2].strip():
        before = f"{before.rstrip()}\n{inner}"
    if not COMMENT_AHEAD.match(after):
        after = "\n" + inner + after.lstrip(" \t")
    text = source[assertion.start : assertion.end].decode("utf-8")
    method = f"{before}{MARKER}{after}"
    return _dedented(method, _indentation(source, test.start)), _dedented(text, inner)


def _indentation(source: bytes, position: int) -> str:
    """Return the blanks that the line of a position begins with."""
    start = source.rfind(b"\n", 0, position) + 1
    line = source[start:position]
    return line[: len(line) - len(line.lstrip(b" \t"))].decode("utf-8")


def _dedented(text: str, indentation: str) -> str:
    # Blanks inside a text block belong to its value.
    if not indentation or TEXT_BLOCK in text:
        return text
    first, *others = text.split("\n")
    return "\n".join([first, *(line.removeprefix(indentation) for line in others)])
