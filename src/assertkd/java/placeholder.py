"""Cuts an assertion out of its test, code out of its file, and puts an assertion in."""

import re
from dataclasses import dataclass

from assertkd.java.structure import JavaTest, Span
from assertkd.records import MARKER

TEXT_BLOCK = '"""'
TRAILING_COMMENT = re.compile(r"[ \t]*(?://[^\n]*|/\*(?:(?!\*/).)*\*/[ \t]*(?=\n|$))", re.DOTALL)
"""A comment behind a statement on its line, with nothing but blanks behind it."""
COMMENT_AHEAD = re.compile(r"[ \t]*(?://|/\*|\n|$)")


def code_at(source: bytes, span: Span) -> str:
    """Return a declaration's text with the indentation of its first line taken off every line."""
    text = source[span.start : span.end].decode("utf-8")
    return _dedented(text, _indentation(source, span.start))


def cut_assertion(source: bytes, test: Span, assertion: Span, keep_comment: bool = True) -> tuple[str, str]:
    """Return a test with `MARKER` in place of an assertion, and the assertion; both without their indentation.

    With the assertion put back, the test has its original tokens. The marker is a line comment and gets a line of its
    own: code before it on the line of the assertion stays there, code behind it goes to the next.

    Args:
        source: the test's file.
        test: the test in it.
        assertion: the assertion in it.
        keep_comment: whether a comment behind the assertion on its line, which often explains it, stays.
    """
    before = source[test.start : assertion.start].decode("utf-8")
    after = source[assertion.end : test.end].decode("utf-8")
    if not keep_comment and (comment := TRAILING_COMMENT.match(after)):
        after = after[comment.end() :]
    inner = _indentation(source, assertion.start)
    if before.rpartition("\n")[2].strip():
        before = f"{before.rstrip()}\n{inner}"
    if not COMMENT_AHEAD.match(after):
        after = "\n" + inner + after.lstrip(" \t")
    text = source[assertion.start : assertion.end].decode("utf-8")
    method = f"{before}{MARKER}{after}"
    return _dedented(method, _indentation(source, test.start)), _dedented(text, inner)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where an assertion goes in a test.

    Attributes:
        test: the test with `MARKER` in its place, without indentation.
        replaced: the part of the file that the assertion replaces: the marker, or nothing.
        indentation: blanks before each further line of the assertion.
        line: of the file, counted from 1.
    """

    test: str
    replaced: Span
    indentation: str
    line: int

    def filled(self, source: bytes, assertion: str) -> bytes:
        """Return the file's source with an assertion in place of the marker."""
        text = assertion.replace("\n", f"\n{self.indentation}")
        if self.replaced.start == self.replaced.end:
            # At the end of the body: on a line of its own, the closing brace on the next.
            before, after = source[: self.replaced.start].rstrip(), source[self.replaced.start :].lstrip()
            closing = _indentation(source, self.replaced.start)
            return before + f"\n{self.indentation}{text}\n{closing}".encode() + after
        return source[: self.replaced.start] + text.encode() + source[self.replaced.end :]


def find_placeholder(source: bytes, test: JavaTest) -> Placeholder:
    """Return the placeholder of a test: its `MARKER`, or else the end of its body."""
    marker = MARKER.encode()
    outer = _indentation(source, test.span.start)
    start = source.find(marker, test.body.start, test.body.end)
    if start >= 0:
        text = _dedented(source[test.span.start : test.span.end].decode("utf-8"), outer)
        return Placeholder(text, Span(start, start + len(marker)), _indentation(source, start), _line(source, start))
    end = test.body.end - 1
    before = source[test.span.start : end].decode("utf-8").rstrip()
    last = test.span.start + len(before.encode())
    # As the statement before it, or a step deeper than the method where the body has no line of its own.
    inner = _indentation(source, last) if source.count(b"\n", test.body.start, last) else f"{outer}    "
    text = _dedented(f"{before}\n{inner}{MARKER}\n{outer}}}", outer)
    return Placeholder(text, Span(end, end), inner, _line(source, end))


def _line(source: bytes, position: int) -> int:
    return source.count(b"\n", 0, position) + 1


def _indentation(source: bytes, position: int) -> str:
    """Return the blanks that the line of a position begins with."""
    start = source.rfind(b"\n", 0, position) + 1
    line = source[start:position]
    return line[: len(line) - len(line.lstrip(b" \t"))].decode("utf-8")


def _dedented(text: str, indentation: str) -> str:
    # Blanks inside a text block belong to its value.
    return text if TEXT_BLOCK in text else text.replace(f"\n{indentation}", "\n")
