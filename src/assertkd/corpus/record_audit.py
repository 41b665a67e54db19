"""The audit of a corpus: how many records were read, and which were rejected, why and where."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from assertkd.corpus.leakage import triple_key
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
        write_lines(path, map(asdict, self.rejections))

    def keep(self, records: Iterable[Record], is_kept: Callable[[Record], bool], reason: str) -> list[Record]:
        """Return the records that satisfy a condition; the others are rejected."""
        kept = []
        for record in records:
            if is_kept(record):
                kept.append(record)
            else:
                place = self.places.get(record.id, ("embedded", 0))
                self.rejections.append(Rejection(*place, reason, (record.assertion or record.test_method)[:EXCERPT]))
        return kept

    def without_duplicates(self, records: Sequence[Record]) -> list[Record]:
        """Return the first record of every `triple_key`; later ones are rejected."""
        first = {triple_key(record): record for record in reversed(records)}
        return self.keep(records, lambda record: first[triple_key(record)] is record, "duplicate of an earlier record")

    def without_overlap(
        self, records: Iterable[Record], others: Iterable[Record], key: Callable[[Record], Hashable], reason: str
    ) -> list[Record]:
        """Return the records whose key none of the others has; the rest is rejected."""
        keys = {key(record) for record in others}
        return self.keep(records, lambda record: key(record) not in keys, reason)

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

        The arguments are those of `read_raw`. The first bad line is an error if `stop_at_bad`; otherwise such lines are
        rejected.

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
