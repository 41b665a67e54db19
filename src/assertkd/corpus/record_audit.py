"""The audit of a corpus: how many records were read, and which were rejected, why and where."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from assertkd.corpus.leakage import partition_by_key, partition_duplicates
from assertkd.corpus.read import EXCERPT, Rejection, read_raw
from assertkd.errors import UserError
from assertkd.jsonl import write_lines
from assertkd.records import Record

PLACES_SHOWN = 20
"""Places that `quality.json` has for each reason; `rejected.jsonl` has all."""


@dataclass
class RecordAudit:
    """The records that were read so far, and the rejected ones among them.

    Attributes:
        counts: file to the number of its records, bad ones included.
        rejections: the lines and records that are left out.
        renamed_ids: number of records that got a new id, since an earlier one has theirs.
        places: id to file and line of every good record.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    renamed_ids: int = 0
    places: dict[str, tuple[str, int]] = field(default_factory=dict)

    def reject(self, records: Iterable[Record], reason: str) -> None:
        """Add records to the rejected ones."""
        for record in records:
            file, line = self.places.get(record.id, ("embedded", 0))
            self.rejections.append(Rejection(file, line, reason, (record.assertion or record.test_method)[:EXCERPT]))

    def rejections_by_reason(self) -> dict[str, Any]:
        """Return reason to `count` and `where` (the first `PLACES_SHOWN` places), the most frequent reason first."""
        places: dict[str, list[str]] = defaultdict(list)
        for rejection in self.rejections:
            places[rejection.reason].append(f"{rejection.file}:{rejection.line}")
        return {
            reason: {"count": len(where), "where": where[:PLACES_SHOWN]}
            for reason, where in sorted(places.items(), key=lambda item: -len(item[1]))
        }

    def summary(self) -> str:
        """Return the number of rejections for each reason as text."""
        by_reason = self.rejections_by_reason()
        return "; ".join(f"{entry['count']} {reason}" for reason, entry in by_reason.items()) or "none"

    def write_rejections(self, path: Path) -> None:
        """Write every rejection as JSONL, whole."""
        write_lines(path, (rejection.as_dict() for rejection in self.rejections))

    def read_file(
        self,
        path: Path,
        multiple: Literal["split", "join"],
        max_characters: int,
        *,
        labelled: bool = True,
        stop_at_bad: bool,
    ) -> list[Record]:
        """Return the good records of a file as `read_all` does, without its duplicates, which are rejected.

        Raises:
            UserError: as `read_all`.
        """
        records = self.read_all(path, multiple, max_characters, labelled=labelled, stop_at_bad=stop_at_bad)
        return self.without_duplicates(records)

    def without_duplicates(self, records: Iterable[Record]) -> list[Record]:
        """Return the records without those that repeat an earlier one; these are rejected."""
        originals, duplicates = partition_duplicates(records)
        self.reject(duplicates, "duplicate of an earlier record")
        return originals

    def without_keys(
        self,
        records: Iterable[Record],
        key: Callable[[Record], Hashable],
        excluded_keys: Set[Hashable],
        reason: str,
    ) -> list[Record]:
        """Return the records whose key is not among the excluded ones; the others are rejected."""
        kept, excluded = partition_by_key(records, key, excluded_keys)
        self.reject(excluded, reason)
        return kept

    def read_all(
        self,
        path: Path,
        multiple: Literal["split", "join"],
        max_characters: int,
        *,
        labelled: bool | None = True,
        stop_at_bad: bool,
    ) -> list[Record]:
        """Return the good records of a file, each with an id that no earlier record of this audit has.

        Args:
            path: the file.
            multiple: as `read_raw` takes it; so are the next two.
            max_characters: longest field.
            labelled: whether a line has to have an assertion.
            stop_at_bad: whether the first bad line is an error; otherwise it is rejected.

        Raises:
            UserError: the file is missing or holds no good record, or `stop_at_bad` and a line is bad.
        """
        records: list[Record] = []
        count = 0
        for number, record in read_raw(path, multiple, max_characters, labelled=labelled):
            count += 1
            if isinstance(record, Rejection):
                if stop_at_bad:
                    raise UserError(
                        f"{record.file}:{record.line}: {record.reason}: {record.excerpt}",
                        "Correct the line, or set data.on_bad_record: reject to go on without it.",
                    )
                self.rejections.append(record)
                continue
            if record.id in self.places:
                self.renamed_ids += 1
            while record.id in self.places:
                record = replace(record, id=f"{record.id}@{path.stem}:{number}")
            self.places[record.id] = (str(path), number)
            records.append(record)
        self.counts[str(path)] = count
        if not records:
            raise UserError(f"{path}: all {count} records are bad: {self.summary()}", "Correct the file.")
        return records
