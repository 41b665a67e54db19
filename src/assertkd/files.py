"""Files that are whole or absent: written under a temporary name, synced, then renamed."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from assertkd.errors import UserError


def check_folder(folder: Path, remedy: str) -> None:
    """Refuse a path that cannot be a folder: it or what stands above it is a file, or cannot be written to.

    A folder is made there and removed: permissions do not tell of full disks, quotas and file systems without writing.

    Raises:
        UserError: naming the file or the folder; `remedy` says what to do then.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    if not nearest.is_dir():
        raise UserError(f"{nearest}: is not a folder", remedy)
    try:
        TemporaryDirectory(dir=nearest).cleanup()
    except OSError as fault:
        raise UserError(f"{nearest}: nothing can be written there ({fault.strerror})", remedy) from None


@contextmanager
def written_whole(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing; rename it to `path` when the block ends without error.

    Args:
        path: the finished file; its folder is made if it is missing.
        mode: "w" (UTF-8 text, line ends as written) or "wb".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with temporary.open(mode, **text) as handle:  # type: ignore[call-overload]
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole."""
    with written_whole(path) as handle:
        handle.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path`, whole, as indented JSON; ValueError for NaN and infinity, which JSON lacks."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the value in the JSON file at `path`.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file", "Run the stage that writes it first.") from None
    except ValueError as fault:
        raise UserError(
            f"{path}: not valid JSON ({fault})",
            "Move it away, and rerun the stage that writes it or put a sound copy in its place.",
        ) from None


_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED_FORMULA = re.compile(r"'+[=+\-@\t\r]")


def csv_cell(text: str) -> str:
    """Return a text as a cell of a CSV file: an apostrophe stands before what a spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def text_of_cell(cell: str) -> str:
    """Return the text that `csv_cell` made a cell of."""
    return cell[1:] if _QUOTED_FORMULA.match(cell) else cell


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
