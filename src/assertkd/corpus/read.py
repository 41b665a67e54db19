"""Reads files of users: every line becomes records, or a rejection that names file, line and reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.corpus.formats.raw_line import RawLine
from assertkd.corpus.formats.registry import read_lines_of
from assertkd.corpus.params import Reading
from assertkd.corpus.placeholders import OWN, PlaceholderMatch, around_marker, find_placeholders
from assertkd.corpus.visible_answers import (
    UNMARKED,
    apply_visible_answer_policy,
    find_visible_answers,
    plainest_kind,
)
from assertkd.errors import UserError
from assertkd.java.regions import code_tokens
from assertkd.jsonl import LineError, as_line, encoded
from assertkd.records import MARKER, NAMED_FIELDS, TEACHER_FIELDS, Record, line_id
from assertkd.settings.data import VisibleAnswerPolicy

EXCERPT = 200
"""Characters of a bad line that its rejection shows."""

READ_FIELDS = {*NAMED_FIELDS, "test_method_masked", "assertions"}
"""Fields of a line that a record's own fields are made of."""

NO_PLACEHOLDER = "none: put at the end of the test"


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


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record that was read.

    Attributes:
        record: with `MARKER` in its test.
        file: path as in the config.
        line: line number from 1.
        placeholder: the form in which the test says where the assertion goes; `NO_PLACEHOLDER` where it does not.
        shown: where the test as it was read shows the assertion (`visible_answers.KINDS`), or None.
    """

    record: Record
    file: str
    line: int
    placeholder: str
    shown: str | None


def read_raw(path: Path, reading: Reading, *, labelled: bool | None = True) -> Iterator[ReadRecord | Rejection]:
    """Yield what each line of a file of records holds.

    A line has `focal_method`, `test_method` and `assertion`; instead of the last two it may have `test_method_masked`
    and `assertions` (a list). `id` and `project` are optional; a teacher's fields (`TEACHER_FIELDS`) are ignored,
    all others are kept. The marker may have one of several forms (`placeholders`); a test without one gets it at the
    end of its body. Other formats are brought into this form (`formats`).

    Args:
        path: the file, or folder.
        reading: format; what a list of assertions becomes (one record each, whose test holds the assertions before its
            own, or one record with all of them as its target); the longest field; what is done with shown assertions.
        labelled: whether a line needs an assertion; None if it is optional. A line without one becomes one record with
            a blank assertion; False makes such a record of every line.

    Raises:
        UserError: the file is missing, holds no line, or has another form as a whole.
    """
    is_empty = True
    for line in read_lines_of(path, reading.format):
        is_empty = False
        if line.fault is not None:
            yield _rejection(line, line.fault)
        for number, fields in enumerate(line.fields):
            suffix = f"#{number}" * (len(line.fields) > 1)
            try:
                yield from _records(line, fields, suffix, reading, labelled)
            except LineError as fault:
                yield _rejection(line, str(fault))
    if is_empty:
        raise UserError(f"{path}: holds no records", "Give a JSONL file: one JSON object a line.")


def _rejection(line: RawLine, reason: str) -> Rejection:
    excerpt = line.text[: 4 * EXCERPT].decode("utf-8", errors="replace").strip()[:EXCERPT]
    return Rejection(str(line.file), line.number, reason, excerpt)


def _records(
    line: RawLine, fields: dict[str, Any], suffix: str, reading: Reading, labelled: bool | None
) -> Iterator[ReadRecord | Rejection]:
    most = reading.max_characters
    _check_storable(fields)
    focal = _text(fields, "focal_method", most)
    test = _text(fields, "test_method" if "test_method" in fields else "test_method_masked", most)
    test, form = _normalised(test)
    has_assertion = bool(fields.get("assertion") or fields.get("assertions"))
    assertions = _assertions(fields, most) if labelled or (labelled is None and has_assertion) else [""]
    if any(MARKER in assertion or find_placeholders(assertion)[0] for assertion in assertions):
        raise LineError("assertion holds the marker")
    project = fields.get("project")
    if project is not None and not isinstance(project, str):
        raise LineError("project is not a string")
    identity = line_id(fields, line.file, line.number) + suffix
    extra = {key: value for key, value in fields.items() if key not in READ_FIELDS and key not in TEACHER_FIELDS}
    if isinstance(source := extra.get("test_source"), str):
        extra["test_source"] = _with_own_marker(source, find_placeholders(source)[0])
    joined = reading.multiple == "join" or len(assertions) == 1
    for index, target in enumerate(["\n".join(assertions)] if joined else assertions):
        before = [] if joined else assertions[:index]
        try:
            own, kind = _treated(test, before, target, reading.on_visible_answer, form != NO_PLACEHOLDER)
        except LineError as fault:
            yield _rejection(line, str(fault))
            continue
        record = Record(identity if joined else f"{identity}#{index}", focal, own, target, project, extra)
        yield ReadRecord(record, str(line.file), line.number, form, kind)


def _treated(
    test: str, before: Sequence[str], target: str, policy: VisibleAnswerPolicy, has_marker: bool
) -> tuple[str, str | None]:
    """Return a test with the marker, the assertions before its own in it, and how it shows its own before it is masked.

    Raises:
        LineError: it does, and such records are rejected.
    """
    filled = _fill(_with_marker(test), "\n".join([*before, MARKER]))
    if has_marker or plainest_kind(find_visible_answers(test, target, has_marker=False)) != UNMARKED:
        return apply_visible_answer_policy(filled, target, policy)
    # The assertions already stand in such a test. Masking puts the marker where its own stood.
    treated, kind = apply_visible_answer_policy(test, target, policy, has_marker=False)
    return treated if MARKER in treated else filled, kind


def _check_storable(fields: dict[str, Any]) -> None:
    try:
        line = as_line({name: value for name, value in fields.items() if name not in TEACHER_FIELDS})
    except ValueError:
        raise LineError("holds a number that is too large") from None
    encoded(line)


def _assertions(line: dict[str, Any], max_characters: int) -> list[str]:
    if "assertions" not in line or "assertion" in line:
        return [_text(line, "assertion", max_characters)]
    values = line["assertions"]
    if not isinstance(values, list) or not values:
        raise LineError("assertions is not a list with at least one entry")
    texts = [_text({"assertions": value}, "assertions", max_characters) for value in values]
    # Each record has those before its own in its test.
    if sum(map(len, texts)) > max_characters:
        raise LineError(f"assertions are together longer than {max_characters} characters")
    return texts


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


def _normalised(test: str) -> tuple[str, str]:
    """Return a test with its placeholder, if it has one, as `MARKER`, and the form that it had.

    Raises:
        LineError: it has several, or none but something that looks like one.
    """
    found, alike = find_placeholders(test)
    own = test.count(MARKER)
    # Its own form counts wherever it stands, as behind another comment, since a model's input is split there.
    count = own + sum(one.form != OWN for one in found)
    if count > 1:
        raise LineError(f"test_method holds the marker {count} times")
    if own:
        return test, OWN
    if alike and not found:
        raise LineError(f"test_method holds what looks like the marker, but is not read as one ({alike[0]})")
    return _with_own_marker(test, found), found[0].form if found else NO_PLACEHOLDER


def _with_own_marker(test: str, found: Sequence[PlaceholderMatch]) -> str:
    """Return a test whose only placeholder is `MARKER`; unchanged where it has none or several."""
    if len(found) != 1 or found[0].form == OWN:
        return test
    return MARKER.join(around_marker(test, found[0]))


def _with_marker(test: str) -> str:
    """Return a test with the marker at the end of its body where it has none."""
    if MARKER in test:
        return test
    tokens = code_tokens(test)
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    braces = [token.text for token in tokens if token.text in ("{", "}")]
    if tokens and tokens[-1].text == "}" and braces.count("{") == braces.count("}"):
        end = tokens[-1].start
        return f"{test[:end].rstrip()}\n    {MARKER}\n{test[end:].rstrip()}"
    return f"{test}\n    {MARKER}"


def _fill(test: str, statements: str) -> str:
    """Put `statements` (which hold the marker) in the marker's place, each line with the marker's indentation."""
    before, _, after = test.partition(MARKER)
    line_start = before.rpartition("\n")[2]
    indent = "" if line_start.strip() else line_start
    return before + statements.replace("\n", "\n" + indent) + after
