"""The formats of records by the names that the config uses. A new format is one file and one line here."""

from collections.abc import Callable, Iterator
from pathlib import Path

from assertkd.corpus.formats import atlas, jsonl, methods2test
from assertkd.corpus.formats.raw_line import Fields, RawLine, read_objects
from assertkd.errors import UserError
from assertkd.settings.data import Format

READERS: dict[str, Callable[[Path], Iterator[RawLine]]] = {
    "jsonl": jsonl.read,
    "atlas": atlas.read,
    "methods2test": methods2test.read,
}


def format_of(path: Path, named: Format = "auto") -> Format:
    """Return the format of a file or folder, by its name where it is not `named`.

    `testMethods.txt`, or a folder with such a file, is ATLAS; another folder holds the JSON files of Methods2Test.
    Lines of Methods2Test in a file of JSONL are known by their fields.
    """
    if named != "auto":
        return named
    if path.name == atlas.TEST_METHODS or (path / atlas.TEST_METHODS).is_file():
        return "atlas"
    return "methods2test" if path.is_dir() else "jsonl"


def files_of(path: Path, named: Format = "auto") -> list[Path]:
    """Return the files, or the folder, that records are read from."""
    return list(atlas.files_of(path)) if format_of(path, named) == "atlas" else [path]


def is_there(path: Path) -> bool:
    """Return whether a path is a file, or a folder with JSON files."""
    return path.is_file() or next(path.rglob("*.json"), None) is not None


def read_lines_of(path: Path, named: Format = "auto") -> Iterator[RawLine]:
    """Yield the lines of a file, or the files of a folder, in the order of their names.

    Raises:
        UserError: something is missing, or in another form as a whole.
    """
    found = format_of(path, named)
    if found == "jsonl" and path.is_dir():
        raise UserError(f"{path}: is a folder", "Name a JSONL file, or set data.format: methods2test.")
    if found == "methods2test" and path.is_dir() and not is_there(path):
        of_atlas = f"{atlas.TEST_METHODS} and {atlas.ASSERT_LINES}"
        raise UserError(
            f"{path}: holds neither {atlas.TEST_METHODS} nor a JSON file",
            f"Name a JSONL file, a folder of ATLAS ({of_atlas}), or one of Methods2Test.",
        )
    return read_objects(path, _records_of) if found == "jsonl" and named == "auto" else READERS[found](path)


def _records_of(line: Fields) -> list[Fields]:
    return methods2test.records_of(line) if methods2test.is_object(line) else [line]
