"""Reads JSONL files of users: every line becomes records, or a rejection that names file, line and reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assertkd.errors import UserError
from assertkd.jsonl import LineError, as_line, numbered_lines, parse_object
from assertkd.records import MARKER, NAMED_FIELDS, TEACHER_FIELDS, Record, line_id

EXCERPT = 200
"""Characters of a bad line that its rejection shows."""

READ_FIELDS = {*NAMED_FIELDS, "test_method_masked", "assertions"}
"""Fields of a line that a record's own fields are made of."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line, or a record of it, that is left out of the corpus.

    Attributes:
        file: path as in the config.
        line: line number from 1.
        reason: why, in the same words for every line with this fault.
        excerpt: the beginning of the line.
    """

    file: str
    line: int
    reason: str
    excerpt: str


def read_raw(
    path: Path, multiple: Literal["split", "join"], max_characters: int, *, labelled: bool | None = True
) -> Iterator[tuple[int, Record | Rejection]]:
    """Yield what each line of a raw JSONL file holds, with its line number.

    A line has `focal_method`, `test_method` and `assertion`; instead of the last two it may have `test_method_masked`
    and `assertions` (a list). `id` and `project` are optional; a teacher's fields (`TEACHER_FIELDS`) are ignored,
    all others are kept. A test without a marker gets one at the end of its body.

    Args:
        path: the file.
        multiple: what a list of assertions becomes: one record each, or one record with all of them as its target.
            Split, each record's test holds the assertions before its own.
        max_characters: longest field that is accepted.
        labelled: whether a line needs an assertion; None if it is optional. A line without one becomes one record with
            a blank assertion; False makes such a record of every line.

    Raises:
        UserError: the file is missing or holds no line.
    """
    remedy = "Set data.train_file (validation_file, test_file, unlabelled, distillation_jsonl) to existing files."
    is_empty = True
    for number, raw in numbered_lines(path, remedy):
        if not raw.strip():
            continue
        is_empty = False
        try:
            for record in _records(raw, path, number, multiple, max_characters, labelled):
                yield number, record
        except ValueError as fault:
            excerpt = raw[: 4 * EXCERPT].decode("utf-8", errors="replace").strip()[:EXCERPT]
            yield number, Rejection(str(path), number, str(fault), excerpt)
    if is_empty:
        raise UserError(f"{path}: holds no records", "Give a JSONL file: one JSON object a line.")


def _records(
    raw: bytes, path: Path, number: int, multiple: str, max_characters: int, labelled: bool | None
) -> Iterator[Record]:
    line = _parse(raw)
    focal = _text(line, "focal_method", max_characters)
    test = _with_marker(_text(line, "test_method" if "test_method" in line else "test_method_masked", max_characters))
    has_assertion = bool(line.get("assertion") or line.get("assertions"))
    assertions = _assertions(line, max_characters) if labelled or (labelled is None and has_assertion) else [""]
    project = line.get("project")
    if project is not None and not isinstance(project, str):
        raise LineError("project is not a string")
    identity = line_id(line, path, number)
    extra = {key: value for key, value in line.items() if key not in READ_FIELDS}
    if multiple == "join" or len(assertions) == 1:
        yield Record(identity, focal, test, "\n".join(assertions), project, extra)
        return
    for index, assertion in enumerate(assertions):
        filled = "\n".join([*assertions[:index], MARKER])
        yield Record(f"{identity}#{index}", focal, _fill(test, filled), assertion, project, extra)


def _parse(raw: bytes) -> dict[str, Any]:
    line = parse_object(raw)
    for name in TEACHER_FIELDS:
        line.pop(name, None)
    try:
        as_line(line).encode("utf-8")
    except UnicodeEncodeError:
        raise LineError("holds half of a surrogate pair") from None
    return line


def _assertions(line: dict[str, Any], max_characters: int) -> list[str]:
    if "assertions" not in line or "assertion" in line:
        return [_text(line, "assertion", max_characters)]
    values = line["assertions"]
    if not isinstance(values, list) or not values:
        raise LineError("assertions is not a list with at least one entry")
    return [_text({"assertions": value}, "assertions", max_characters) for value in values]


def _text(line: dict[str, Any], key: str, max_characters: int) -> str:
    if key not in line:
        raise LineError(f"{key.removesuffix('_masked')} is missing")
    value = line[key]
    if not isinstance(value, str):
        raise LineError(f"{key} is not a string")
    if not value.strip():
        raise LineError(f"{key} is blank")
    if len(value) > max_characters:
        raise LineError(f"{key} is longer than {max_characters} characters")
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(map(str.rstrip, lines)).strip()


def _with_marker(test: str) -> str:
    count = test.count(MARKER)
    if count > 1:
        raise LineError(f"test_method holds the marker {count} times")
    if count == 1:
        return test
    body, brace, rest = test.rpartition("}")
    if brace and not rest.strip() and test.count("{") == test.count("}"):
        return f"{body.rstrip()}\n    {MARKER}\n}}"
    return f"{test}\n    {MARKER}"


def _fill(test: str, statements: str) -> str:
    """Put `statements` (which hold the marker) in the marker's place, each line with the marker's indentation."""
    before, _, after = test.partition(MARKER)
    line_start = before.rpartition("\n")[2]
    indent = "" if line_start.strip() else line_start
    return before + statements.replace("\n", "\n" + indent) + after
