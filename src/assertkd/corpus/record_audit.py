"""The audit of a corpus: how many records were read, and which were rejected, why and where."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from assertkd.corpus.leakage import triple_key
from assertkd.corpus.params import Reading
from assertkd.corpus.read import EXCERPT, Rejection, read_raw
from assertkd.corpus.visible_answers import KINDS, apply_visible_answer_policy
from assertkd.errors import UserError
from assertkd.jsonl import LineError, write_lines
from assertkd.records import Record
from assertkd.settings.data import VisibleAnswerPolicy

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
        placeholders: form of the assertion's placeholder to the number of good records whose tests had it.
        shown: id to the kind of place (`visible_answers.KINDS`) where a good record's test shows its assertion as read.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    renamed_ids: int = 0
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    placeholders: Counter[str] = field(default_factory=Counter)
    shown: dict[str, str] = field(default_factory=dict)
    _copies: Counter[str] = field(default_factory=Counter, init=False, repr=False)

    def rejections_by_reason(self) -> dict[str, Any]:
        """Return reason to `count` and `where` (the first `PLACES_SHOWN` places), the most frequent reason first.

        A generated record is in no file, and so at no place.
        """
        counts = Counter(rejection.reason for rejection in self.rejections)
        places: dict[str, list[str]] = defaultdict(list)
        for rejection in self.rejections:
            if rejection.line:
                places[rejection.reason].append(f"{rejection.file}:{rejection.line}")
        return {
            reason: {"count": count, "where": places[reason][:PLACES_SHOWN]} for reason, count in counts.most_common()
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
                self._reject(record, reason)
        return kept

    def _reject(self, record: Record, reason: str) -> None:
        place = self.places.get(record.id, ("embedded", 0))
        self.rejections.append(Rejection(*place, reason, (record.assertion or record.test_method)[:EXCERPT]))

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

    def _free_id(self, wanted: str) -> str:
        """Return an id that no record has: this one, or this one with a number."""
        identity = wanted
        while identity in self.places:
            self._copies[wanted] += 1
            identity = f"{wanted}~{self._copies[wanted]}"
        return identity

    def apply_visible_answer_policy(self, records: Iterable[Record], policy: VisibleAnswerPolicy) -> list[Record]:
        """Return records that were not read from a file, treated as `data.on_visible_answer` says."""
        kept = []
        for record in records:
            try:
                test, kind = apply_visible_answer_policy(record.test_method, record.assertion, policy)
            except LineError as fault:
                self._reject(record, str(fault))
                continue
            if kind is not None:
                self.shown[record.id] = kind
            kept.append(replace(record, test_method=test))
        return kept

    def shown_by_kind(self, records: Iterable[Record]) -> dict[str, int]:
        """Return kind to the number of these records that show their assertion there, the plainest kind first."""
        counts = Counter(self.shown[record.id] for record in records if record.id in self.shown)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def read_all(
        self,
        path: Path,
        reading: Reading,
        *,
        labelled: bool | None = True,
        remedy: str = "Correct the line, or set data.on_bad_record: reject to go on without it.",
    ) -> list[Record]:
        """Return the good records of a file, each with an id that no earlier record of this audit has.

        Args:
            path: the file, or folder.
            reading: how to read it. The first bad line is an error if its `on_bad_record` says so; otherwise such
                lines are rejected.
            labelled: as for `read_raw`.
            remedy: what to do about such an error.

        Raises:
            UserError: the file is missing or holds no good record, or a line is bad and this is an error.
        """
        records: list[Record] = []
        count = 0
        for item in read_raw(path, reading, labelled=labelled):
            count += 1
            if isinstance(item, Rejection):
                if reading.on_bad_record == "error":
                    raise UserError(f"{item.file}:{item.line}: {item.reason}: {item.excerpt}", remedy)
                self.rejections.append(item)
                continue
            record = item.record
            if record.id in self.places:
                self.renamed_ids += 1
                record = replace(record, id=self._free_id(f"{record.id}@{Path(item.file).stem}:{item.line}"))
            self.places[record.id] = (item.file, item.line)
            self.placeholders[item.placeholder] += 1
            if item.shown is not None:
                self.shown[record.id] = item.shown
            records.append(record)
        self.counts[str(path)] = count
        if not records:
            raise UserError(
                f"{path}: all {count} records are bad: {self.summary()}",
                "Correct the file: one JSON object a line, or one of the formats of data.format.",
            )
        return records
