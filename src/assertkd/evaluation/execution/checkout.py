"""Sources of mined records, read from the project that they were mined from."""

from pathlib import Path

from assertkd.evaluation.execution.mutants import find_method
from assertkd.evaluation.execution.syntax import parsed
from assertkd.records import MARKER, Record


def with_sources(record: Record, checkout: Path) -> Record:
    """Return a record with `test_source` and `class_source`, where the project holds them.

    Sources that the record carries itself stay. `test_source` is the file that its `test_file` names, with the marker
    in place of the assertion; `class_source` the file that its `focal_file` names.

    Args:
        record: names files relative to the project's folder.
        checkout: the project's folder, in the state in which it was mined.
    """
    sources = {}
    test, tested = (_read(record, name, checkout) for name in ("test_file", "focal_file"))
    if test is not None and (source := _with_placeholder(test, record)) is not None:
        sources["test_source"] = source
    if tested is not None:
        sources["class_source"] = tested
    return Record(
        record.id,
        record.focal_method,
        record.test_method,
        record.assertion,
        record.project,
        sources | record.extra,
    )


def _with_placeholder(source: str, record: Record) -> str | None:
    """Return a test file with the record's test, which has the marker, in place of the same test with its assertion."""
    data = source.encode("utf-8")
    method = find_method(parsed(data), record.test_method.replace(MARKER, record.assertion))
    if method is None:
        return None
    return (data[: method.start_byte] + record.test_method.encode() + data[method.end_byte :]).decode("utf-8")


def _read(record: Record, name: str, checkout: Path) -> str | None:
    """Return the text of the file that a field of the record names; None if it is outside or cannot be read."""
    file = record.extra.get(name)
    if not isinstance(file, str):
        return None
    path = (checkout / file).resolve()
    if not path.is_relative_to(checkout.resolve()):
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
