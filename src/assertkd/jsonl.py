"""JSONL, one JSON object a line in UTF-8: read with faults named by file and line, written whole, read in any order."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from assertkd.errors import UserError
from assertkd.files import written_whole

Parsed = TypeVar("Parsed")


class LineError(ValueError):
    """Why a line cannot be taken, in words that stand behind its file and number."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that a line holds; a byte order mark is skipped.

    Raises:
        ValueError: the line is not UTF-8, not JSON or not an object; its text says which.
    """
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def numbered_lines(path: Path, remedy: str) -> Iterator[tuple[int, bytes]]:
    """Yield every line of a file with its number, counted from 1.

    Raises:
        UserError: there is no such file; `remedy` says what to do then.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", remedy)
    with path.open("rb") as handle:
        yield from enumerate(handle, start=1)


def read_lines(path: Path, parse: Callable[[dict[str, Any]], Parsed], *, what: str, rule: str) -> Iterator[Parsed]:
    """Yield what `parse` makes of each line of a file that a rule wrote, one line at a time.

    Args:
        path: the file.
        parse: raises LineError, another ValueError, KeyError, TypeError or AttributeError for a line of another kind.
        what: the kind of line with its article, for messages: "a record".
        rule: the rule that writes the file, for messages.

    Raises:
        UserError: the file is missing, or a line is blank or of another kind (file:line is named).
    """
    for number, raw in numbered_lines(path, f"Run `{rule}` first."):
        yield _parsed(raw, parse, f"{path}:{number}", what, rule)


def as_line(value: Mapping[str, Any]) -> str:
    """Return a JSON object as a line, line end included."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON objects to `path`, whole; return how many."""
    count = 0
    with written_whole(path) as handle:
        for count, value in enumerate(values, start=1):  # noqa: B007
            handle.write(as_line(value))
    return count


class LineIndex:
    """The ids of a JSONL file's lines and the byte at which each begins; a line is read when it is asked for.

    Takes about 150 bytes of memory a line, however long the lines are. No file stays open.

    Args:
        path: a file that an earlier stage wrote, one JSON object with an `id` a line.
        rule: the rule that writes it, for messages.
        is_wanted: which lines count; all where it is left out.

    Raises:
        UserError: the file is missing, or a line is no object with an `id` of its own (file:line is named).
    """

    def __init__(self, path: Path, rule: str, is_wanted: Callable[[dict[str, Any]], bool] | None = None) -> None:
        self.path = path
        self._offsets: dict[str, int] = {}
        offset = 0

        def add(line: dict[str, Any]) -> None:
            identity: str = line["id"]
            if is_wanted is None or is_wanted(line):
                if identity in self._offsets:
                    raise LineError(f"the id {identity!r} comes twice")
                self._offsets[identity] = offset

        for number, raw in numbered_lines(path, f"Run `{rule}` first."):
            _parsed(raw, add, f"{path}:{number}", "a line of this file", rule)
            offset += len(raw)
        self.ids = list(self._offsets)

    def __len__(self) -> int:
        """Return the number of lines that count."""
        return len(self.ids)

    def __contains__(self, identity: object) -> bool:
        """Return whether a line has this id."""
        return identity in self._offsets

    def lines(self, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the lines of these ids, in the order of the ids.

        Raises:
            UserError: the file has changed since it was indexed.
            KeyError: no line has an id.
        """
        with self.path.open("rb") as handle:
            for identity in ids:
                handle.seek(self._offsets[identity])
                try:
                    line = parse_object(handle.readline())
                except ValueError:
                    line = {}
                if line.get("id") != identity:
                    raise UserError(f"{self.path}: has changed since training began", "Start the job again.")
                yield line


def _parsed(raw: bytes, parse: Callable[[dict[str, Any]], Parsed], place: str, what: str, rule: str) -> Parsed:
    try:
        return parse(parse_object(raw))
    except LineError as fault:
        problem = str(fault)
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        problem = f"not {what} ({fault!r})"
    raise UserError(f"{place}: {problem}", f"Delete the file and rerun `{rule}`.")
