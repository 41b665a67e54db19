"""Output that every text can be printed to: what a terminal would obey, or cannot show, is escaped."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from assertkd.errors import printable


@contextmanager
def printable_output() -> Iterator[None]:
    """Print escaped (`errors.printable`) while the block runs, and as escapes too what the output's encoding lacks.

    Carriage returns reach standard error as they are, since libraries draw their progress there.
    """
    stdout, stderr = _PrintableStream(sys.stdout), _PrintableStream(sys.stderr, unescaped="\r")
    with redirect_stdout(cast("TextIO", stdout)), redirect_stderr(cast("TextIO", stderr)):
        yield


class _PrintableStream:
    """A text stream that writes to another one; everything but writing is that one's.

    Args:
        stream: the other one.
        unescaped: a character that is written as it is.
    """

    def __init__(self, stream: TextIO, unescaped: str = "\n") -> None:
        self._stream, self._unescaped = stream, unescaped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        shown = self._unescaped.join(map(printable, text.split(self._unescaped)))
        return self._stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
