"""Removes folders that nobody knows what is in."""

import tempfile
from contextlib import suppress
from pathlib import Path


def remove_folder(folder: Path) -> None:
    """Remove a folder and all that is in it, however deep; what the system does not let us remove stays.

    `shutil.rmtree` recurses, and fails where folders are nested deeper than Python calls. Here every folder inside is
    moved to the top before it is read.
    """
    if not folder.exists():
        return
    top = Path(tempfile.mkdtemp(prefix="assertkd-", dir=folder.parent))
    moved = [top / "0"]
    with suppress(OSError):
        folder.rename(moved[0])
        for path in moved:
            for entry in _entries(path):
                with suppress(OSError):
                    if entry.is_dir() and not entry.is_symlink():
                        moved.append(entry.rename(top / str(len(moved))))
                    else:
                        entry.unlink()
    for path in (*moved, top):
        with suppress(OSError):
            path.rmdir()


def _entries(folder: Path) -> list[Path]:
    # A process that still runs may have put a link in a folder's place: what it leads to is not ours.
    with suppress(OSError):
        return [] if folder.is_symlink() else list(folder.iterdir())
    return []
