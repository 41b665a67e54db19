"""A warm javac: many units of Java compiled at once, with a verdict on each."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.evaluation.execution.confine import Confinement
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.messages import printable
from assertkd.evaluation.execution.process import DeadlinePassedError, JavaProcess, ProcessEndedError

SOURCE = Path(__file__).parent / "java" / "Compiler.java"
HEAP_MB = 768
LONGEST_ERROR = 1 << 16
SECONDS, SECONDS_PER_UNIT = 60.0, 0.5
"""How long a request may take before the compiler counts as hanging."""

SECONDS_ALONE = 20.0
"""How long a unit may take that is compiled alone because its request did not end well."""


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
    """The compiling process; use it in a `with` block.

    Args:
        toolchain: the JDK.
        confinement: what confines the process; None for nothing.
        class_path: what sources are compiled against.
        folder: the one folder that it writes to; units' folders lie below it.
    """

    def __init__(
        self, toolchain: Toolchain, confinement: Confinement | None, class_path: Sequence[Path], folder: Path
    ) -> None:
        # Java's own launcher compiles the server, in memory. A copy, because a clone's files may be closed to others.
        server = folder.with_name(f"{folder.name}-{SOURCE.name}")
        shutil.copyfile(SOURCE, server)
        server.chmod(0o644)
        readable = [server, *class_path]
        super().__init__(toolchain.java, [server], class_path, confinement, readable, folder, HEAP_MB, keep_files=True)

    def compile(self, units: Sequence[Unit]) -> list[str | None]:
        """Compile units, and return for each None where it compiled, or its first error.

        A unit is compiled as if it stood alone: it sees no other's types, and one that fails does not disturb the
        others, not even one that makes the compiler crash or hang. Units may declare the same types. Where the class
        path has annotation processors, they are run.
        """
        return self._compile(units, SECONDS + SECONDS_PER_UNIT * len(units))

    def _compile(self, units: Sequence[Unit], seconds: float) -> list[str | None]:
        if not units:
            return []
        try:
            return self._request(units, seconds)
        except (ProcessEndedError, DeadlinePassedError) as fault:
            self.kill()
            if len(units) == 1:
                late = isinstance(fault, DeadlinePassedError)
                return ["the compiler did not come to an end" if late else "the compiler crashed"]
            middle, seconds = len(units) // 2, max(SECONDS_ALONE, seconds / 2)
            return self._compile(units[:middle], seconds) + self._compile(units[middle:], seconds)

    def _request(self, units: Sequence[Unit], seconds: float) -> list[str | None]:
        if not self.is_running:
            self.start()
        deadline = time.monotonic() + seconds
        self.send(b"".join([_number(len(units)), *map(_packed, units)]), deadline)
        errors: list[str | None] = []
        for _ in units:
            length = int.from_bytes(self.receive(4, deadline), "big")
            if length > LONGEST_ERROR:
                raise ProcessEndedError
            errors.append(printable(self.receive(length, deadline).decode("utf-8", errors="replace")) or None)
        return errors


def _packed(unit: Unit) -> bytes:
    texts = [_text(str(unit.folder)), _number(len(unit.sources))]
    texts += [_text(part) for source in unit.sources.items() for part in source]
    return b"".join(texts)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    return _number(len(data)) + data


def _number(number: int) -> bytes:
    return number.to_bytes(4, "big")
