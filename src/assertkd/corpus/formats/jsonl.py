"""Format `jsonl`: one object a line, with the fields of a record."""

from collections.abc import Iterator
from pathlib import Path

from assertkd.corpus.formats.raw_line import RawLine, read_objects


def read(path: Path) -> Iterator[RawLine]:
    """Yield the lines of a file."""
    return read_objects(path, lambda line: [line])
