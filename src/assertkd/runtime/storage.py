"""Disks that are full, folders that may not be written: how they are recognised, and what to say of them."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from assertkd.errors import UserError

RUN_BYTES = "ASSERTKD_RUN_BYTES"
"""The environment variable in which the workflow says what its run takes on the disk, in bytes, by estimate."""

FULL = {errno.ENOSPC: "no space is left on the disk", errno.EDQUOT: "the disk quota is used up"}
_ELSEWHERE = "use another folder; results/ may be a link to one."
_OWN = f"Make it readable and writable for you, or {_ELSEWHERE}"
_REMOVE = f"Remove what stands there, or {_ELSEWHERE}"
REFUSED = {
    errno.EROFS: ("the disk can only be read", _OWN),
    errno.EACCES: ("permission denied", _OWN),
    errno.EPERM: ("permission denied", _OWN),
    errno.EIO: ("the disk reports an error", f"Check the disk, or {_ELSEWHERE}"),
    errno.ENOTDIR: ("a file stands where a folder is needed", _REMOVE),
    errno.EISDIR: ("a folder stands where a file is needed", _REMOVE),
    errno.EEXIST: ("a file, or a link that leads nowhere, stands where a folder is needed", _REMOVE),
    errno.ENAMETOOLONG: ("the name is too long", "Use a shorter name, or a folder with a shorter path."),
    errno.ELOOP: ("the link leads to itself", _REMOVE),
}
"""What is said of a system's error, and its remedy."""
OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How a library written in Rust, as safetensors, puts the system's number into its message."""
MEGABYTE = 1_000_000


def storage_fault(fault: BaseException, folder: Path | None = None) -> UserError | None:
    """Return what to say where a file could not be written or read; None for a fault of another kind.

    Args:
        fault: what was raised, or what it was raised for.
        folder: where files are written, for a full disk whose fault names no file; the working folder if None.
    """
    for one in _chain(fault):
        number, path = _number(one), getattr(one, "filename", None)
        if number in FULL:
            if isinstance(path, str | bytes):
                return full_disk(FULL[number], Path(os.fsdecode(path)).parent)
            return full_disk(FULL[number], _fuller(folder or Path.cwd(), Path(tempfile.gettempdir())))
        # Without a file it may be a refused connection.
        if number in REFUSED and (isinstance(path, str | bytes) or isinstance(one, SafetensorError)):
            named = os.fsdecode(path) if isinstance(path, str | bytes) else str(folder or Path.cwd())
            problem, remedy = REFUSED[number]
            return UserError(f"{named}: {problem}", remedy)
    return None


def full_disk(problem: str, folder: Path) -> UserError:
    """Return what to say of a full disk: the folder, how much is free, and how much the run is estimated to need."""
    place = _existing(folder)
    free = f"{format_bytes(_free(folder))} are free"
    if folder == Path(tempfile.gettempdir()):
        return UserError(
            f"{folder}: {problem} ({free})", "Free more there, or set TMPDIR to a folder of a larger disk."
        )
    wanted = os.environ.get(RUN_BYTES, "")
    need = "more"
    if wanted.isdigit():
        run = next((one for one in (place, *place.parents) if one.parent.name == "results"), place)
        left = max(int(wanted) - size_of(run), 10 * MEGABYTE)
        need = f"about {format_bytes(left)}"
    return UserError(
        f"{folder}: {problem} ({free}, {need} is needed)",
        "Free as much there, or let results/ be a link to a larger disk, then start again: what is finished stays.",
    )


def size_of(folder: Path) -> int:
    """Return the bytes of all files in and below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except OSError:
                # Removed meanwhile.
                continue
    return total


def format_bytes(count: int) -> str:
    """Return a number of bytes in the unit that fits."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / MEGABYTE:.1f} MB"


def _fuller(folder: Path, temporary: Path) -> Path:
    """Return where a write failed that names no file: temporary files may lie on a disk of their own."""
    is_apart = _existing(folder).stat().st_dev != _existing(temporary).stat().st_dev
    return temporary if is_apart and _free(temporary) < _free(folder) else folder


def _existing(folder: Path) -> Path:
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())


def _free(folder: Path) -> int:
    return shutil.disk_usage(_existing(folder)).free


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def _number(fault: BaseException) -> int | None:
    if isinstance(fault, OSError):
        return fault.errno
    found = OS_ERROR.search(str(fault)) if isinstance(fault, SafetensorError) else None
    return None if found is None else int(found[1])
