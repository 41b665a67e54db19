"""Format `atlas` (Watson et al., 2020): a file of tests with their focal methods, and one of their assertions."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from assertkd.corpus.formats.raw_line import REMEDY, Fields, RawLine
from assertkd.errors import UserError
from assertkd.java.regions import code_tokens
from assertkd.jsonl import LineError, check_length, numbered_lines
from assertkd.records import as_statement

TEST_METHODS, ASSERT_LINES = "testMethods.txt", "assertLines.txt"
"""The two files, line by line: tests with their focal methods, and their assertions."""
PLACEHOLDER, FOCAL_SEPARATOR = "<AssertPlaceHolder>", '"<FocalMethod>"'
"""In a test; what some of its successors put between test and focal method."""


def files_of(path: Path) -> tuple[Path, Path]:
    """Return both files of a folder, or of the first of them."""
    tests = path / TEST_METHODS if path.is_dir() else path
    return tests, tests.with_name(ASSERT_LINES)


def read(path: Path) -> Iterator[RawLine]:
    """Yield the lines of the first file, each with what stands beside it in the second.

    Raises:
        UserError: a file is missing, or longer than the other.
    """
    tests, assertions = files_of(path)
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
            yield RawLine(tests, number, raw, [{"id": identity} | _fields(_decoded(test), _decoded(assertion))])
        except LineError as fault:
            yield RawLine(tests, number, raw, [], str(fault))


def _fields(line: str, assertion: str) -> Fields:
    """Return the fields of a pair of lines: test and focal method stand one behind the other."""
    if PLACEHOLDER not in line:
        raise LineError(f'test_method lacks "{PLACEHOLDER}"')
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
