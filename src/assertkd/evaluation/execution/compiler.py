"""A warm javac: many units of Java compiled at once, with a verdict on each."""

import errno
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from assertkd.evaluation.execution.confine import Confinement
from assertkd.evaluation.execution.folders import remove_folder
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.messages import printable
from assertkd.evaluation.execution.process import DeadlinePassedError, JavaProcess, ProcessEndedError

log = logging.getLogger(__name__)

SOURCE = Path(__file__).parent / "java" / "Compiler.java"
HEAP_MB = 768
SILENT_SECONDS, UNIT_SECONDS = 30.0, 60.0
"""How long one kind of work on one unit may take, such as reading it or checking its types, or an answer after it;
and how long all the work on a unit."""

DONE, SEVERAL_UNITS, FIRST_UNIT = 0, 1, 2
"""What the compiler says while it works; `FIRST_UNIT + n` that it goes on with unit number n."""

PARTS = 16
"""How many parts units are divided into to find one that ends the compiler."""

MOST_SOURCE_BYTES = 16 << 20
"""Size of the sources of a request, a single unit's excepted."""

LONGEST_ERROR, LONGEST_NAME = 1 << 16, 1 << 17
"""Size of what the compiler cuts a message to, at most, and of what a class file can name."""

MOST_BYTES, BYTES_PER_FILE = 256 << 20, 1 << 12
"""Size of what the units of a request may compile to, and what each file counts beside its name and content."""

MOST_PARTS = 100
"""How many names, of folders and a file, a file's path has at most."""

UNWRITABLE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
"""Faults of files' names."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Java sources that are compiled together, their classes into a folder of their own.

    Attributes:
        folder: where the classes go; must not exist yet.
        sources: path of each file below its source root, as `org/example/Queue.java`, to its text.
    """

    folder: Path
    sources: Mapping[str, str]

    @property
    def packages(self) -> set[str]:
        """Folders of its files, as `org/example`; "" for the unnamed package."""
        return {path.rpartition("/")[0] for path in self.sources}


class Compiler(JavaProcess):
    """The compiling process; use it in a `with` block. It writes nothing itself: it answers with the classes.

    Args:
        toolchain: the JDK.
        confinement: what confines the process; None for nothing.
        class_path: what sources are compiled against.
        folder: an existing folder, empty, where it runs.
    """

    def __init__(
        self, toolchain: Toolchain, confinement: Confinement | None, class_path: Sequence[Path], folder: Path
    ) -> None:
        # Java's own launcher compiles the server, in memory. A copy, because a clone's files may be closed to others.
        server = folder.with_name(f"{folder.name}-{SOURCE.name}")
        shutil.copyfile(SOURCE, server)
        server.chmod(0o644)
        super().__init__(toolchain.java, [server], class_path, confinement, [server, *class_path], folder, HEAP_MB)
        self._suspect: int | None = None

    def compile(self, units: Sequence[Unit], *, processors: bool = True) -> list[str | None]:
        """Compile units, and return for each None where it compiled, or its first error.

        A unit is compiled as if it stood alone: it sees no other's types, and one that fails does not disturb the
        others, not even one that makes the compiler crash or hang. Units may declare the same types.

        Args:
            units: what is compiled.
            processors: whether the class path's annotation processors are run.
        """
        errors: dict[int, str | None] = {}
        parts: list[Sequence[int]] = list(_requests(units))
        while parts:
            part = parts.pop()
            try:
                errors |= zip(part, self._request([units[number] for number in part], processors), strict=True)
            except (ProcessEndedError, DeadlinePassedError) as fault:
                self.kill()
                late = isinstance(fault, DeadlinePassedError)
                reason = "took too long" if late else "crashed"
                log.info(f"javac {reason} over {len(part)} units and is started again")
                if len(part) == 1:
                    errors[part[0]] = "the compiler did not come to an end" if late else "the compiler crashed"
                    continue
                others = list(part)
                suspect = [] if self._suspect is None else [others.pop(self._suspect)]
                parts += filter(None, [*(others[start::PARTS] for start in range(PARTS)), suspect])
        return [errors[number] for number in range(len(units))]

    def _request(self, units: Sequence[Unit], processors: bool) -> list[str | None]:
        """Compile units and write their classes; where it raises, `_suspect` is the number of the one worked on."""
        self._suspect = None
        if not self.is_running:
            self.start()
        request = [_number(int(processors)), _number(len(units)), *map(_packed, units)]
        self.send(b"".join(request), time.monotonic() + SILENT_SECONDS)
        left: dict[int | None, float] = dict.fromkeys(range(len(units)), UNIT_SECONDS)
        began = time.monotonic()
        while (said := self._receive_number(left.get(self._suspect, SILENT_SECONDS))) != DONE:
            now = time.monotonic()
            if self._suspect is not None:
                left[self._suspect] -= now - began
            self._suspect, began = said - FIRST_UNIT if said - FIRST_UNIT in left else None, now
        self._suspect, room = None, MOST_BYTES
        answers: list[tuple[str, dict[str, bytes]]] = []
        for _ in units:
            error = printable(self._receive_text(LONGEST_ERROR))
            files: dict[str, bytes] = {}
            for _ in range(self._receive_number()):
                name = self._receive_text(LONGEST_NAME)
                if name.startswith("/") or ".." in name.split("/") or "\0" in name:
                    raise ProcessEndedError
                files[name] = self._receive_sized(room)
                room -= len(name) + len(files[name]) + BYTES_PER_FILE
            answers.append((error, files))
        return [error or _write(unit.folder, files) for unit, (error, files) in zip(units, answers, strict=True)]

    def _receive_number(self, seconds: float = SILENT_SECONDS) -> int:
        return int.from_bytes(self.receive(4, time.monotonic() + min(seconds, SILENT_SECONDS)), "big")

    def _receive_sized(self, longest: int) -> bytes:
        size = self._receive_number()
        if size > longest:
            raise ProcessEndedError
        return self.receive(size, time.monotonic() + SILENT_SECONDS)

    def _receive_text(self, longest: int) -> str:
        return self._receive_sized(longest).decode("utf-8", errors="replace")


def _write(folder: Path, files: Mapping[str, bytes]) -> str | None:
    """Write a unit's files; return what is wrong with their names, or None. Where it fails it leaves nothing."""
    if any(name.count("/") >= MOST_PARTS for name in files):
        return f"its classes cannot be written (a name of more than {MOST_PARTS} parts)"
    try:
        for parent in sorted({folder, *(folder / parent for name in files for parent in PurePosixPath(name).parents)}):
            parent.mkdir(exist_ok=True)
            # Whatever the umask: as root, who runs them is another user.
            parent.chmod(0o755)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o644)
    except OSError as fault:
        if fault.errno not in UNWRITABLE:
            raise
        remove_folder(folder)
        return f"its classes cannot be written ({fault.strerror})"
    return None


def _requests(units: Sequence[Unit]) -> Iterator[Sequence[int]]:
    """Yield the units' numbers, cut where the sources are too many for one request."""
    start = size = 0
    for number, unit in enumerate(units):
        own = sum(map(len, unit.sources.values()))
        if number > start and size + own > MOST_SOURCE_BYTES:
            yield range(start, number)
            start, size = number, 0
        size += own
    if units:
        yield range(start, len(units))


def _packed(unit: Unit) -> bytes:
    return b"".join([_number(len(unit.sources)), *(_text(part) for source in unit.sources.items() for part in source)])


def _text(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    return _number(len(data)) + data


def _number(number: int) -> bytes:
    return number.to_bytes(4, "big")
