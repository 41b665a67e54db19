"""Standard output that every text can be printed to: what a terminal would obey, or cannot show, is escaped."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast

from assertkd.errors import printable


@contextmanager
def printable_output() -> Iterator[None]:
    """Print escaped (`errors.printable`) while the block runs, and as escapes too what the output's encoding lacks.

    Standard error needs this less: Python escapes there what the encoding lacks, and messages and logs are printable.
    """
    with redirect_stdout(cast("TextIO", _PrintableStream(sys.stdout))):
        yield


class _PrintableStream:
    """A text stream that writes to another one; everything but writing is that one's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return self._stream.write(printable(text).encode(encoding, "backslashreplace").decode(encoding))
