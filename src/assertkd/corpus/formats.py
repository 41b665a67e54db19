"""The formats in which records come, each read into the fields of the project's own JSONL."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.java.placeholder import cut_assertion
from assertkd.java.regions import code_tokens
from assertkd.java.source import child_text, parse
from assertkd.java.structure import Span
from assertkd.java.tests import assertions_in
from assertkd.jsonl import LONGEST_LINE, LineError, check_length, numbered_lines, numbered_objects, parse_object
from assertkd.records import as_statement
from assertkd.settings.data import Format

TEST_METHODS, ASSERT_LINES = "testMethods.txt", "assertLines.txt"
"""The two files of ATLAS, line by line: tests with their focal methods, and their assertions."""
ATLAS_PLACEHOLDER, FOCAL_SEPARATOR = "<AssertPlaceHolder>", '"<FocalMethod>"'
"""In a test of ATLAS; what some of its successors put between test and focal method."""

REMEDY = "Name an existing file of records."


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
    fields: list[dict[str, Any]]
    fault: str | None = None


def format_of(path: Path, named: Format = "auto") -> Format:
    """Return the format of a file or folder, by its name where it is not `named`.

    `testMethods.txt`, or a folder with such a file, is ATLAS; another folder holds the JSON files of Methods2Test.
    Lines of Methods2Test in a file of JSONL are known by their fields.
    """
    if named != "auto":
        return named
    if path.name == TEST_METHODS or (path / TEST_METHODS).is_file():
        return "atlas"
    return "methods2test" if path.is_dir() else "jsonl"


def files_of(path: Path, named: Format = "auto") -> list[Path]:
    """Return the files, or the folder, that records are read from."""
    return list(_atlas_files(path)) if format_of(path, named) == "atlas" else [path]


def is_there(path: Path) -> bool:
    """Return whether a path is a file, or a folder with JSON files."""
    return path.is_file() or next(path.rglob("*.json"), None) is not None


def read_lines_of(path: Path, named: Format = "auto") -> Iterator[RawLine]:
    """Yield the lines of a file, or the files of a folder, in the order of their names.

    Raises:
        UserError: something is missing, or in another form as a whole.
    """
    found = format_of(path, named)
    if found == "atlas":
        yield from _read_atlas(*_atlas_files(path))
    elif path.is_dir():
        if found == "jsonl":
            raise UserError(f"{path}: is a folder", "Name a JSONL file, or set data.format: methods2test.")
        yield from _read_folder(path)
    elif found == "methods2test" and path.suffix == ".json":
        yield _read_whole(path, Path(path.name))
    else:
        for number, raw in numbered_objects(path, REMEDY):
            yield _line(path, number, raw, _fields_of_line if named == "auto" else _READERS[found])


def _line(path: Path, number: int, raw: bytes, read: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> RawLine:
    try:
        return RawLine(path, number, raw, read(parse_object(raw)))
    except ValueError as fault:
        return RawLine(path, number, raw, [], str(fault))


def _fields_of_line(line: dict[str, Any]) -> list[dict[str, Any]]:
    return _methods2test(line) if isinstance(line.get("test_case"), dict) or "src_fm" in line else [line]


def _read_folder(folder: Path) -> Iterator[RawLine]:
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise UserError(
            f"{folder}: holds neither {TEST_METHODS} nor a JSON file",
            f"Name a JSONL file, a folder of ATLAS ({TEST_METHODS} and {ASSERT_LINES}), or one of Methods2Test.",
        )
    return (_read_whole(file, file.relative_to(folder)) for file in files)


def _read_whole(file: Path, name: Path) -> RawLine:
    if not file.is_file():
        raise UserError(f"{file}: no such file", REMEDY)
    with file.open("rb") as handle:
        raw = handle.read(LONGEST_LINE + 1)
    return _line(
        file, 1, raw, lambda one: [{"id": name.with_suffix("").as_posix()} | fields for fields in _methods2test(one)]
    )


def _methods2test(line: dict[str, Any]) -> list[dict[str, Any]]:
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
    try:
        body = test.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8")
    except UnicodeEncodeError:
        raise LineError("holds half of a surrogate pair") from None
    opening = b"class T {\n"
    source = opening + body + b"\n}\n"
    types = parse(source).root_node.named_children
    members = types[0].child_by_field_name("body") if types else None
    methods = [] if members is None else [one for one in members.named_children if one.type == "method_declaration"]
    block = methods[0].child_by_field_name("body") if methods else None
    if block is None or child_text(methods[0], "name") == "":
        raise LineError("test_case is no method of Java")
    whole = Span(len(opening), len(opening) + len(body))
    for assertion in assertions_in(block):
        yield *cut_assertion(source, whole, assertion.span), assertion.kind


def _atlas_files(path: Path) -> tuple[Path, Path]:
    tests = path / TEST_METHODS if path.is_dir() else path
    return tests, tests.with_name(ASSERT_LINES)


def _read_atlas(tests: Path, assertions: Path) -> Iterator[RawLine]:
    both = zip_longest(numbered_lines(tests, REMEDY), numbered_lines(assertions, f"It belongs beside {tests.name}."))
    for of_test, of_assertion in both:
        number, raw = of_test or of_assertion or (0, b"")
        test, assertion = (b"" if line is None else line[1].strip() for line in (of_test, of_assertion))
        if of_test is None or of_assertion is None:
            if not test and not assertion:
                continue
            longer, shorter = (assertions, tests) if of_test is None else (tests, assertions)
            raise UserError(
                f"{longer}:{number}: has no line beside it, since {shorter} has {number - 1}",
                "Each test needs its assertion on the same line of the other file.",
            )
        if not test and not assertion:
            continue
        try:
            identity = f"{tests.absolute().parent.name}:{number}"
            yield RawLine(tests, number, raw, [{"id": identity} | _atlas(_decoded(test), _decoded(assertion))])
        except LineError as fault:
            yield RawLine(tests, number, raw, [], str(fault))


def _atlas(line: str, assertion: str) -> dict[str, Any]:
    """Return the fields of a pair of lines: test and focal method stand one behind the other."""
    if ATLAS_PLACEHOLDER not in line:
        raise LineError(f'test_method lacks "{ATLAS_PLACEHOLDER}"')
    test, separator, focal = line.partition(FOCAL_SEPARATOR)
    if not separator:
        end = _end_of_method(line)
        test, focal = line[:end], line[end:]
    return {"focal_method": focal, "test_method": test, "assertion": as_statement(assertion)}


def _end_of_method(line: str) -> int:
    depth = 0
    for token in code_tokens(line):
        depth += (token.text == "{") - (token.text == "}")
        if token.text == "}" and depth == 0:
            return token.end
    raise LineError("test_method has no end")


def _decoded(raw: bytes) -> str:
    check_length(raw)
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        # The published files have a few such lines.
        return raw.decode("latin-1").strip()


_READERS: dict[str, Callable[[dict[str, Any]], list[dict[str, Any]]]] = {
    "jsonl": lambda line: [line],
    "methods2test": _methods2test,
}
