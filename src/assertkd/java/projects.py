"""Java projects below given folders, and their files."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from assertkd.errors import UserError
from assertkd.jsonl import storable

GRADLE_FILES = [f"{stem}.gradle{end}" for stem in ("build", "settings") for end in ("", ".kts")]
BUILD_FILES = frozenset({"pom.xml", *GRADLE_FILES, "build.xml", "MODULE.bazel", "WORKSPACE", ".classpath", ".git"})
"""What the root of a project holds."""
BUILT = frozenset({"target", "build", "out", "bin", "node_modules"})
"""Folders beside a build file or a source folder that hold what was built."""
UNREAD = frozenset({"module-info.java", "package-info.java"})
"""Files that declare no class."""
TEST_ROOT = re.compile(
    r"<testSourceDirectory>\s*(?:\$\{(?:project\.)?basedir\}/)?([^<$\s]+)\s*<"
    r"|\b\w*[tT]est\w*\s*\{\s*(?:java|kotlin)\s*\{[^}]*?srcDirs?\s*[=(]?\s*[\[(]?\s*['\"]([^'\"$]+)['\"]"
)
"""What declares a folder of tests in a build file of Maven or Gradle."""
FOLDERS = "Name folders of Java projects that hold sources, each once, none inside another; links are not followed."
"""What to do about `folder_faults`."""
MAX_BUILD_FILE_BYTES = 1_000_000
LICENCE_NAMES = ("licence", "license", "copying", "unlicense")


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    Attributes:
        name: of its folder; with the folders above it where two projects share a name.
        root: its folder.
        files: its Java files, sorted.
        licence: its licence file, relative to the root, or None.
        test_roots: folders of tests that its build files name, relative to the root.
    """

    name: str
    root: Path
    files: tuple[Path, ...]
    licence: str | None
    test_roots: tuple[str, ...] = ()


def find_projects(folders: Sequence[Path]) -> list[Project]:
    """Return the projects in and below the given folders.

    The topmost folder with a build file or a repository is a project with all modules below it. Files that lie in no
    such folder make up one project named after the given folder. Links are not followed.

    Raises:
        UserError: a folder is missing, lies in another one, or holds no Java file.
    """
    if faults := list(folder_faults(folders)):
        raise UserError("\n".join(faults), FOLDERS)
    found: dict[Path, list[Path]] = {}
    is_root = cache(_is_root)
    for folder in map(Path.resolve, folders):
        loose: list[Path] = []
        for path in source_files(folder):
            between = (folder / parent for parent in reversed(path.relative_to(folder).parents))
            root = next(filter(is_root, between), None)
            (loose if root is None else found.setdefault(root, [])).append(path)
        if loose:
            found[folder] = loose
    names = _names(list(found))
    return [
        Project(storable(name), root, tuple(sorted(files)), _licence(root), test_roots(root, files))
        for name, (root, files) in zip(names, found.items(), strict=True)
    ]


def folder_faults(folders: Sequence[Path]) -> Iterator[str]:
    """Yield which folders of Java projects are missing, lie in one another, or hold no Java file."""
    resolved: list[Path] = []
    for folder in folders:
        path = folder.resolve()
        other = next((one for one in resolved if path.is_relative_to(one) or one.is_relative_to(path)), None)
        if not folder.is_dir():
            yield f"{folder}: {'is a file, no folder' if folder.exists() else 'no such folder'}"
        elif other is not None:
            yield f"{folder}: lies in {other}, or holds it"
        elif next(source_files(path), None) is None:
            yield f"{folder}: no Java file"
        resolved.append(path)


def test_roots(root: Path, files: Iterable[Path]) -> tuple[str, ...]:
    """Return the folders of tests that the build files of a project and its modules name, relative to the project."""
    found = set()
    for folder in {folder for file in files for folder in file.parents if folder.is_relative_to(root)}:
        for path in (folder / name for name in ("pom.xml", *GRADLE_FILES)):
            if is_regular(path) and path.stat().st_size <= MAX_BUILD_FILE_BYTES:
                text = path.read_text(encoding="utf-8", errors="replace")
                for match in TEST_ROOT.finditer(text):
                    named = Path(os.path.normpath(folder / (match[1] or match[2])))
                    if named.is_relative_to(root) and named != root:
                        found.add(named.relative_to(root).as_posix())
    return tuple(sorted(found))


def is_regular(path: Path) -> bool:
    """Return whether a path is a file with content: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_root(folder: Path) -> bool:
    return any((folder / name).exists() for name in BUILD_FILES)


def project_root(path: Path) -> Path:
    """Return the folder of the project or module that a file lies in.

    That is the nearest folder above it with a build file, else the one that holds its folder `src`, else its own.
    """
    parents = path.resolve().parents
    above_sources = (folder.parent for folder in parents if folder.name == "src")
    return next(filter(_is_root, parents), None) or next(above_sources, parents[0])


def source_files(root: Path) -> Iterator[Path]:
    """Yield the Java files in and below a folder; hidden and built folders, links and devices are passed over."""
    for path, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if _is_source_folder(name, path, folders, files))
        for name in files:
            if name.endswith(".java") and name not in UNREAD and is_regular(Path(path, name)):
                yield Path(path, name)


def _is_source_folder(name: str, parent: str, folders: Iterable[str], files: Iterable[str]) -> bool:
    if name.startswith(".") or Path(parent, name).is_symlink():
        return False
    return name not in BUILT or ("src" not in folders and BUILD_FILES.isdisjoint((*folders, *files)))


def _names(roots: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell all of them apart."""
    ends = (["/".join(root.parts[-depth:]) for root in roots] for depth in count(1))
    return next(names for names in ends if len(set(names)) == len(roots))


def _licence(root: Path) -> str | None:
    files = sorted(path.name for path in root.iterdir() if path.is_file())
    licences = (name for start in LICENCE_NAMES for name in files if name.lower().startswith(start))
    debian = "debian/copyright" if (root / "debian" / "copyright").is_file() else None
    return next(licences, debian)
