"""A record: a focal method, a test with a placeholder, and the assertion for its place; read and written as JSONL."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.jsonl import numbered_lines, parse_object, read_lines, write_lines

MARKER = "// <ASSERTION_PLACEHOLDER>"
"""The placeholder of the assertion in `test_method` (and `test_source`)."""

PLACEHOLDER_TOKEN = "<extra_id_0>"
"""T5's first sentinel: the token that replaces the marker in a model's input."""

NAMED_FIELDS = ("id", "focal_method", "test_method", "assertion", "project")

LOGITS, LOGPROBS = "teacher_logits_compressed", "teacher_logprobs"
"""The fields of a teacher's distributions: the whole ones, or their likeliest tokens."""

TEACHER_FIELDS = (
    LOGITS,
    "teacher_logits_shape",
    "teacher_logits_dtype",
    LOGPROBS,
    "teacher_prediction",
    "target_ids",
)
"""Fields of a line that hold a teacher's output (see `logits.interchange`): no part of the record, and very large."""


def teacher_distributions(path: Path) -> str | None:
    """Return the field in which a JSONL file's first record has a teacher's distributions; None if in none."""
    try:
        _, raw = next(numbered_lines(path, ""))
        line = parse_object(raw)
    except (OSError, ValueError, StopIteration, UserError):
        return None
    return next((name for name in (LOGITS, LOGPROBS) if name in line), None)


def line_id(line: dict[str, Any], path: Path, number: int) -> str:
    """Return the id of a raw line: its own as text, or one made of the file's name and the line's number."""
    return f"{path.stem}:{number}" if line.get("id") is None else str(line["id"])


def as_statement(text: str) -> str:
    """Return a text with a semicolon at its end where it is not blank and ends in neither `;` nor `}`."""
    return text if not text or text.endswith((";", "}")) else f"{text} ;"


@dataclass(frozen=True, slots=True)
class Record:
    """One example.

    Attributes:
        id: unique within a run.
        focal_method: source of the method under test.
        test_method: source of the test, holding `MARKER` exactly once, where the assertion goes.
        assertion: the gold assertion: one or more Java statements.
        project: the project it comes from, or None where the corpus names none.
        extra: every other field of its line, unchanged (`class_source`, `test_source`, licence, …).
    """

    id: str
    focal_method: str
    test_method: str
    assertion: str
    project: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as one flat JSON object: the named fields, then those of `extra`."""
        named = {name: getattr(self, name) for name in NAMED_FIELDS if name != "project" or self.project is not None}
        return named | self.extra

    @classmethod
    def from_dict(cls, line: dict[str, Any]) -> "Record":
        """Build a record from `as_dict`'s form.

        Raises:
            KeyError: a named field other than `project` is missing.
        """
        extra = {name: value for name, value in line.items() if name not in NAMED_FIELDS}
        return cls(line["id"], line["focal_method"], line["test_method"], line["assertion"], line.get("project"), extra)


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write records to `path` as JSONL, whole; return how many."""
    return write_lines(path, (record.as_dict() for record in records))


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a corpus file that `prepare_corpus` wrote.

    Raises:
        UserError: the file is missing, or a line is no record (file:line is named).
    """
    return read_lines(path, Record.from_dict, what="a record", rule="prepare_corpus")
