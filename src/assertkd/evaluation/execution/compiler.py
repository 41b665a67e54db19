"""A warm javac: many units of Java compiled at once, with a verdict on each."""

import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from assertkd.evaluation.execution.isolation import Isolation
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.process import DeadlinePassedError, JavaProcess, ProcessEndedError

SOURCE = Path(__file__).parent / "java" / "Compiler.java"
HEAP_MB = 768
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


class Compiler:
    """The compiling process; use it in a `with` block.

    Args:
        toolchain: the JDK.
        isolation: how the process is confined.
        class_path: what sources are compiled against.
        folder: the one folder that it writes to; units' folders lie below it.
    """

    def __init__(self, toolchain: Toolchain, isolation: Isolation, class_path: Sequence[Path], folder: Path) -> None:
        self._toolchain, self._isolation, self._class_path, self._folder = toolchain, isolation, class_path, folder
        self._process: JavaProcess | None = None

    def __enter__(self) -> "Compiler":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def compile(self, units: Sequence[Unit]) -> list[str | None]:
        """Compile units, and return for each None where it compiled, or its first error.

        A unit that fails does not disturb the others: not even one that makes the compiler crash or hang. No two of
        them may declare the same type.
        """
        return self._compile(units, SECONDS + SECONDS_PER_UNIT * len(units))

    def _compile(self, units: Sequence[Unit], seconds: float) -> list[str | None]:
        if not units:
            return []
        try:
            return self._request(units, seconds)
        except (ProcessEndedError, DeadlinePassedError) as fault:
            self._stop()
            if len(units) == 1:
                late = isinstance(fault, DeadlinePassedError)
                return ["the compiler did not come to an end" if late else "the compiler crashed"]
            middle = len(units) // 2
            return [
                error
                for half in (units[:middle], units[middle:])
                for error in self._compile(half, max(SECONDS_ALONE, seconds / 2))
            ]

    def _request(self, units: Sequence[Unit], seconds: float) -> list[str | None]:
        if self._process is None:
            # Java's own launcher compiles the server, in memory.
            self._process = JavaProcess(
                self._toolchain.java,
                [SOURCE, *self._class_path],
                self._isolation,
                self._folder,
                HEAP_MB,
                keep_files=True,
            )
        deadline = time.monotonic() + seconds
        self._process.send(b"".join([_number(len(units)), *map(_packed, units)]))
        errors: list[str | None] = []
        for _ in units:
            [length] = struct.unpack(">i", self._process.receive(4, deadline))
            errors.append(self._process.receive(length, deadline).decode("utf-8", errors="replace") or None)
        return errors

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


def _packed(unit: Unit) -> bytes:
    texts = [_text(str(unit.folder)), _number(len(unit.sources))]
    texts += [_text(part) for source in unit.sources.items() for part in source]
    return b"".join(texts)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    return _number(len(data)) + data


def _number(number: int) -> bytes:
    return struct.pack(">i", number)
