"""Format `methods2test` (Tufano et al., 2020): a focal method and a whole test in an object, in files or lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assertkd.corpus.formats.raw_line import REMEDY, Fields, RawLine, read_object, read_objects
from assertkd.errors import UserError
from assertkd.java.placeholder import cut_assertion
from assertkd.java.source import child_text, parse
from assertkd.java.structure import Span
from assertkd.java.tests import assertions_in
from assertkd.jsonl import LONGEST_LINE, LineError, encoded


def is_object(line: Fields) -> bool:
    """Return whether an object is of the data set, or of its corpus."""
    return isinstance(line.get("test_case"), dict) or "src_fm" in line


def read(path: Path) -> Iterator[RawLine]:
    """Yield the files of a folder in the order of their names, a file that is one object, or the lines of a JSONL file.

    Records in files have an id of the file's path in the folder.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield _read_whole(file, file.relative_to(path))
    elif path.suffix == ".json":
        yield _read_whole(path, Path(path.name))
    else:
        yield from read_objects(path, records_of)


def _read_whole(file: Path, name: Path) -> RawLine:
    if not file.is_file():
        raise UserError(f"{file}: no such file", REMEDY)
    with file.open("rb") as handle:
        raw = handle.read(LONGEST_LINE + 1)
    identity = {"id": name.with_suffix("").as_posix()}
    return read_object(file, 1, raw, lambda line: [identity | fields for fields in records_of(line)])


def records_of(line: Fields) -> list[Fields]:
    """Return a record for every assertion of a test, as it is in the data set or in its corpus.

    In the data set `focal_method` and `test_case` have a `body`, in the corpus `src_fm` and `target` are texts. The
    other assertions stay in the test.

    Raises:
        LineError: the line has another form, or its test no assertion.
    """
    if "src_fm" in line:
        focal, test, about = line["src_fm"], line.get("target"), dict[str, Any]()
    else:
        parts: dict[str, Any] = {name: line.get(name) for name in ("focal_method", "test_case")}
        parts |= {name: line.get(name) or {} for name in ("focal_class", "test_class", "repository")}
        if lacking := next((name for name, part in parts.items() if not isinstance(part, dict)), None):
            raise LineError(f"{lacking} is no object, as Methods2Test has it")
        focal, test = (parts[name].get("body") for name in ("focal_method", "test_case"))
        repository = parts["repository"]
        project = repository.get("url", repository.get("repo_id"))
        about = {
            "project": None if project is None else str(project),
            "focal_name": parts["focal_method"].get("identifier"),
            "focal_file": parts["focal_class"].get("file"),
            "test_name": parts["test_case"].get("identifier"),
            "test_file": parts["test_class"].get("file"),
        }
    if not isinstance(focal, str) or not isinstance(test, str):
        raise LineError("the body of focal_method or test_case is not a string")
    fields = {"focal_method": focal} | {name: value for name, value in about.items() if value is not None}
    cut = list(_cut(test))
    if not cut:
        raise LineError("the test has no assertion")
    identity = {} if line.get("id") is None else {"id": line["id"]}
    return [
        identity | fields | {"test_method": masked, "assertion": text, "assertion_type": kind}
        for masked, text, kind in cut
    ]


def _cut(test: str) -> Iterator[tuple[str, str, str]]:
    """Yield the test with the marker in place of each of its assertions, the assertion, and what it calls."""
    body = encoded(test.replace("\r\n", "\n").replace("\r", "\n"))
    opening = b"class T {\n"
    source = opening + body + b"\n}\n"
    types = parse(source).root_node.named_children
    members = types[0].child_by_field_name("body") if types else None
    methods = [] if members is None else [one for one in members.named_children if one.type == "method_declaration"]
    block = methods[0].child_by_field_name("body") if methods else None
    if block is None or child_text(methods[0], "name") == "":
        raise LineError("test_case is no method of Java")
    whole = Span(len(opening), len(opening) + len(body))
    found = list(assertions_in(block))
    # Each record has the whole test.
    if len(found) * len(body) > LONGEST_LINE:
        raise LineError("the test is too long for so many assertions")
    for assertion in found:
        yield *cut_assertion(source, whole, assertion.span), assertion.kind
