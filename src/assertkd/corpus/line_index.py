"""Random access to a JSONL file: where each line begins, by the id that it holds."""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from assertkd.errors import UserError


class LineIndex:
    """The ids of a JSONL file's lines and the byte at which each begins; a line is read when it is asked for.

    Takes about 150 bytes of memory a line, however long the lines are. No file stays open.

    Args:
        path: a file that an earlier stage wrote, one JSON object with an `id` a line.
        rule: the rule that writes it, for messages.
        wanted: which lines count; all where it is left out.

    Attributes:
        path: the file.
        ids: in the order of the file.

    Raises:
        UserError: the file is missing, or a line is no object with an `id` of its own (file:line is named).
    """

    def __init__(self, path: Path, rule: str, wanted: Callable[[dict[str, Any]], bool] | None = None) -> None:
        if not path.is_file():
            raise UserError(f"{path}: no such file", f"Run `{rule}` first.")
        self.path = path
        self._remedy = f"Delete the file and rerun `{rule}`."
        self._offsets = array("q")
        self._numbers: dict[str, int] = {}
        offset = 0
        with path.open("rb") as handle:
            for number, raw in enumerate(handle, start=1):
                try:
                    line = json.loads(raw)
                    identity = line["id"]
                    counts = wanted is None or wanted(line)
                except (ValueError, KeyError, TypeError) as fault:
                    raise UserError(f"{path}:{number}: not a line of this file ({fault!r})", self._remedy) from None
                if counts:
                    if identity in self._numbers:
                        raise UserError(f"{path}:{number}: the id {identity!r} comes twice", self._remedy)
                    self._numbers[identity] = len(self._offsets)
                    self._offsets.append(offset)
                offset += len(raw)
        self.ids = list(self._numbers)

    def __len__(self) -> int:
        """Return the number of lines that count."""
        return len(self._offsets)

    def __contains__(self, identity: object) -> bool:
        """Return whether a line has this id."""
        return identity in self._numbers

    def lines(self, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the lines of these ids, in the order of the ids.

        Raises:
            UserError: the file has changed since it was indexed.
            KeyError: no line has an id.
        """
        with self.path.open("rb") as handle:
            for identity in ids:
                handle.seek(self._offsets[self._numbers[identity]])
                try:
                    line = json.loads(handle.readline())
                    found = line["id"]
                except (ValueError, KeyError, TypeError):
                    found = None
                if found != identity:
                    raise UserError(f"{self.path}: has changed since training began", "Start the job again.")
                yield line
