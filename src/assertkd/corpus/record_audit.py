"""What became of every record that was read: kept, or rejected for a reason, at a place."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from assertkd.corpus.leakage import drop_duplicates
from assertkd.corpus.read import Rejection, read_raw
from assertkd.errors import UserError
from assertkd.files import written_whole
from assertkd.records import Record

WHERE_SHOWN = 20
"""Places that `quality.json` names for each reason; `rejected.jsonl` names all."""


@dataclass
class RecordAudit:
    """What became of every record that was read.

    Attributes:
        read: file to the records that it holds, bad ones included.
        rejections: those that are not taken.
        renamed_ids: records whose id an earlier one had.
        origin: id to file and line, of all records that were read so far.
    """

    read: dict[str, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    renamed_ids: int = 0
    origin: dict[str, tuple[str, int]] = field(default_factory=dict)

    def drop(self, records: Iterable[Record], reason: str) -> None:
        """Put records down as rejected."""
        for record in records:
            file, line = self.origin.get(record.id, ("embedded", 0))
            self.rejections.append(Rejection(file, line, reason, (record.assertion or record.test_method)[:200]))

    def rejected(self) -> dict[str, Any]:
        """Return reason to the number of rejections and the first places, the most frequent reason first."""
        places: dict[str, list[str]] = defaultdict(list)
        for rejection in self.rejections:
            places[rejection.reason].append(f"{rejection.file}:{rejection.line}")
        return {
            reason: {"count": len(where), "where": where[:WHERE_SHOWN]}
            for reason, where in sorted(places.items(), key=lambda item: -len(item[1]))
        }

    def summary(self) -> str:
        """Return the number of rejections for each reason, in words."""
        counts = {reason: entry["count"] for reason, entry in self.rejected().items()}
        return "; ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"

    def write_rejected(self, path: Path) -> None:
        """Write every rejection as JSONL, whole."""
        with written_whole(path) as handle:
            handle.writelines(json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in self.rejections)

    def read_file(
        self,
        path: Path,
        multiple: Literal["split", "join"],
        max_characters: int,
        *,
        labelled: bool = True,
        stop_at_bad: bool,
    ) -> list[Record]:
        """Return the good records of a file as `read_all` does, duplicates put down as rejected.

        Raises:
            UserError: as `read_all`.
        """
        records = self.read_all(path, multiple, max_characters, labelled=labelled, stop_at_bad=stop_at_bad)
        first, again = drop_duplicates(records)
        self.drop(again, "duplicate of an earlier record")
        return first

    def read_all(
        self,
        path: Path,
        multiple: Literal["split", "join"],
        max_characters: int,
        *,
        labelled: bool | None = True,
        stop_at_bad: bool,
    ) -> list[Record]:
        """Return the good records of a file, every id new to this account.

        Args:
            path: the file.
            multiple: as `read_raw` takes it; so are the next two.
            max_characters: longest field.
            labelled: whether a line has to have an assertion.
            stop_at_bad: whether the first bad line stops the run; otherwise it is put down as rejected.

        Raises:
            UserError: the file is missing or holds no good record, or a line is bad and stops the run.
        """
        records: list[Record] = []
        items = 0
        for number, item in read_raw(path, multiple, max_characters, labelled=labelled):
            items += 1
            if isinstance(item, Rejection):
                if stop_at_bad:
                    raise UserError(
                        f"{item.file}:{item.line}: {item.reason}: {item.excerpt}",
                        "Mend the line, or set data.on_bad_record: reject to go on without it.",
                    )
                self.rejections.append(item)
                continue
            record = item
            if record.id in self.origin:
                self.renamed_ids += 1
            while record.id in self.origin:
                record = replace(record, id=f"{record.id}@{path.stem}:{number}")
            self.origin[record.id] = (str(path), number)
            records.append(record)
        self.read[str(path)] = items
        if not records:
            raise UserError(f"{path}: all {items} records are bad: {self.summary()}", "Mend the file.")
        return records
