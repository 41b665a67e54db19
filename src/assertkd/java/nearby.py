"""The part of a project that one test can have to do with, so that a large project need not be read for it."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from assertkd.java.declarations import read_declarations
from assertkd.java.names import shortened, stems
from assertkd.java.projects import source_files
from assertkd.java.source import read_source
from assertkd.java.structure import JavaFile

TYPE_NAME = re.compile(rb"\b[A-Z]\w*")
ROUNDS = 3
"""Files are looked for by the names in the test, then in what was found: supertypes, what is returned."""


def nearby_files(source: bytes, file: JavaFile, folders: Sequence[Path]) -> dict[Path, JavaFile]:
    """Return the files whose classes a test names, or that its class is named after, and their supertypes, parsed.

    Args:
        source: the test's file, normalised.
        file: the same, parsed; other copies of it are left out.
        folders: where to look, links not followed. Paths of the files are relative to these.
    """
    known: dict[str, list[tuple[Path, Path]]] = defaultdict(list)
    for folder in folders:
        for path in source_files(folder):
            known[path.stem].append((path, folder))
    wanted = {name.decode() for name in TYPE_NAME.findall(source)}
    own = {(declared.package, declared.name) for declared in file.classes}
    for declared in file.classes:
        for stem in stems(declared.simple_name):
            wanted |= {stem, *shortened(stem)}
    found: dict[Path, JavaFile] = {}
    for _ in range(ROUNDS):
        new: list[JavaFile] = []
        for path, folder in (entry for name in sorted(wanted) for entry in known.get(name, ())):
            if path not in found:
                found[path] = read_declarations(read_source(path), path.relative_to(folder).as_posix())
                new.append(found[path])
        classes = [declared for one in new for declared in one.classes]
        methods = (method for declared in classes for method in declared.methods)
        named = [name for declared in classes for name in declared.supertypes]
        named += [name for method in methods for name in (method.returns, *method.makes)]
        wanted = {name.partition(".")[0].removesuffix("[]") for name in named}
    return {path: one for path, one in found.items() if own.isdisjoint((c.package, c.name) for c in one.classes)}
