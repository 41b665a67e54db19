"""JSONL, one JSON object a line in UTF-8: read with faults named by file and line, written whole, read in any order."""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from assertkd.errors import UserError
from assertkd.files import written_whole

Parsed = TypeVar("Parsed")


class LineError(ValueError):
    """Why a line cannot be taken, in words that stand behind its file and number."""


LONGEST_LINE = 128 * 1024**2
"""Bytes of a line that is read. 1,500 target tokens of logits over CodeT5+'s vocabulary take as much."""
SKIPPED = 1024**2
"""Bytes of a longer line that are passed over at once."""
DEEPEST = 100
"""Arrays and objects within each other that are read; Python itself gives up at about a thousand."""

FOREIGN_STARTS = {
    codecs.BOM_UTF32_LE: ("is UTF-32", "Save it as UTF-8."),
    codecs.BOM_UTF32_BE: ("is UTF-32", "Save it as UTF-8."),
    codecs.BOM_UTF16_LE: ("is UTF-16", "Save it as UTF-8."),
    codecs.BOM_UTF16_BE: ("is UTF-16", "Save it as UTF-8."),
    b"\x1f\x8b": ("is compressed (gzip)", "Unpack it, for example with gunzip."),
    b"BZh": ("is compressed (bzip2)", "Unpack it, for example with bunzip2."),
    b"\xfd7zXZ": ("is compressed (xz)", "Unpack it, for example with unxz."),
    b"\x28\xb5\x2f\xfd": ("is compressed (zstd)", "Unpack it, for example with unzstd."),
    b"PK\x03\x04": ("is a ZIP archive", "Unpack it."),
}
"""How files begin that hold no text in UTF-8: what such a file is, and what to do."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that a line holds; a byte order mark is skipped.

    Raises:
        ValueError: the line is not UTF-8, not JSON or not an object, is longer than `LONGEST_LINE` or nested deeper
            than `DEEPEST`, or has a key twice, a number that JSON lacks, or one of thousands of digits; its text says
            which.
    """
    check_length(raw)
    try:
        value = json.loads(
            raw.decode("utf-8-sig"), parse_constant=_refused_constant, object_pairs_hook=_object_of_distinct_keys
        )
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST}") from None
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    except LineError as fault:
        raise ValueError(str(fault)) from None
    except ValueError:
        raise ValueError("holds a number of more digits than are read") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    if _is_nested_deeper(value, DEEPEST):
        raise ValueError(f"nested deeper than {DEEPEST}")
    return value


def encoded(text: str) -> bytes:
    """Return a text in UTF-8; LineError if it holds half of a surrogate pair, which JSON may and UTF-8 may not."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise LineError("holds half of a surrogate pair") from None


def storable(text: str) -> str:
    """Return `text` with `?` for halves of surrogate pairs, which JSON and file names may hold and UTF-8 may not."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def check_length(raw: bytes) -> None:
    """Raise LineError if a line is longer than `LONGEST_LINE`."""
    if len(raw) > LONGEST_LINE:
        raise LineError(f"longer than {LONGEST_LINE // 1024**2} MiB")


def _object_of_distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise LineError(f"the key {key!r} comes twice")
        value[key] = item
    return value


def _refused_constant(name: str) -> NoReturn:
    raise LineError(f"holds {name}, which JSON lacks")


def _is_nested_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for children in inner for child in children if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def numbered_lines(path: Path, remedy: str) -> Iterator[tuple[int, bytes]]:
    """Yield every line of a file with its number, counted from 1.

    Of a line that is longer than `LONGEST_LINE`, which `check_length` refuses, one byte more than that is read.

    Raises:
        UserError: there is no such file (`remedy` says what to do then), or it is compressed or in another encoding.
    """
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}", remedy)
    with path.open("rb") as handle:
        beginning = handle.read(6)
        for start, (what, unpacked) in FOREIGN_STARTS.items():
            if beginning.startswith(start):
                raise UserError(f"{path}: {what}, not text in UTF-8", unpacked)
        if b"\0" in beginning:
            raise UserError(f"{path}: is UTF-16 or no text at all, not text in UTF-8", "Save it as UTF-8.")
        handle.seek(0)
        number = 0
        while raw := handle.readline(LONGEST_LINE + 1):
            number += 1
            rest = raw
            while len(raw) > LONGEST_LINE and rest and not rest.endswith(b"\n"):
                rest = handle.readline(SKIPPED)
            yield number, raw


def numbered_objects(path: Path, remedy: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that are not blank, as `numbered_lines` does.

    Raises:
        UserError: as there, or the file is a single JSON array.
    """
    is_first = True
    for number, raw in numbered_lines(path, remedy):
        if not raw.strip():
            continue
        if is_first and raw.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"["):
            raise UserError(
                f"{path}:{number}: holds a JSON array, where one object a line is expected",
                "Write each object of the array on a line of its own: jq -c '.[]' FILE.json > FILE.jsonl",
            )
        is_first = False
        yield number, raw


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
    """Return a JSON object as a line, line end included; ValueError for NaN and infinity, which JSON lacks."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


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
    raise UserError(f"{place}: {problem}", f"Move the file away and rerun `{rule}`.")
