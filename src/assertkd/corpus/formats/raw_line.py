"""What every format is read into: a line, and the fields of the project's own JSONL that it holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.jsonl import numbered_objects, parse_object

REMEDY = "Name an existing file of records."

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line of a file, or a file of a folder.

    Attributes:
        file: as in the config, or in the folder that it names.
        number: of the line, counted from 1.
        text: what stands there.
        fields: what it has, one mapping for each record.
        fault: why it has none, or None.
    """

    file: Path
    number: int
    text: bytes
    fields: list[Fields]
    fault: str | None = None


def read_objects(path: Path, records_of: Callable[[Fields], list[Fields]]) -> Iterator[RawLine]:
    """Yield the lines of a file of JSON objects; `records_of` returns what an object holds, or raises LineError."""
    for number, raw in numbered_objects(path, REMEDY):
        yield read_object(path, number, raw, records_of)


def read_object(path: Path, number: int, raw: bytes, records_of: Callable[[Fields], list[Fields]]) -> RawLine:
    """Return one of them."""
    try:
        return RawLine(path, number, raw, records_of(parse_object(raw)))
    except ValueError as fault:
        return RawLine(path, number, raw, [], str(fault))
