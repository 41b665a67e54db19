"""A record: one focal method, one test with a gap, and the assertion that fills the gap. JSONL in and out."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.files import written_whole

MARKER = "// <ASSERTION_PLACEHOLDER>"
"""Stands in `test_method` (and `test_source`) where the assertion goes."""

PLACEHOLDER_TOKEN = "<extra_id_0>"
"""T5's first sentinel: the token that stands in a model input in place of the marker."""

NAMED_FIELDS = ("id", "focal_method", "test_method", "assertion", "project")

TEACHER_FIELDS = (
    "teacher_logits_compressed",
    "teacher_logits_shape",
    "teacher_logits_dtype",
    "teacher_prediction",
    "target_ids",
)
"""What a line says of a teacher (see `logits.interchange`); no part of the record, and far larger than all the rest."""


def line_id(line: dict[str, Any], path: Path, number: int) -> str:
    """Return the id of a raw line: its own as text, or one made of the file's name and the line's number."""
    return f"{path.stem}:{number}" if line.get("id") is None else str(line["id"])


@dataclass(frozen=True, slots=True)
class Record:
    """One example.

    Attributes:
        id: unique within a run.
        focal_method: source of the method under test.
        test_method: source of the test, holding `MARKER` exactly once, where the assertion goes.
        assertion: the gold assertion: one or more Java statements.
        project: the project it comes from, or None where the corpus names none.
        extra: every other field of its line, kept as it came (`class_source`, `test_source`, licence, …).
    """

    id: str
    focal_method: str
    test_method: str
    assertion: str
    project: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as one flat JSON object, `extra` unfolded behind the named fields."""
        named: dict[str, Any] = {name: getattr(self, name) for name in NAMED_FIELDS}
        if self.project is None:
            del named["project"]
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
    count = 0
    with written_whole(path) as handle:
        for count, record in enumerate(records, start=1):  # noqa: B007
            handle.write(json.dumps(record.as_dict(), ensure_ascii=False) + "\n")
    return count


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a corpus file that `prepare_corpus` wrote.

    Raises:
        UserError: the file is missing, or a line is no record (file:line is named).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `prepare_corpus` first.")
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                yield Record.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as fault:
                raise UserError(
                    f"{path}:{number}: not a record ({fault!r})", "Delete the file and rerun `prepare_corpus`."
                ) from None
