"""The records that a model trains on and the targets of each, read from their files on demand."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assertkd.errors import UserError
from assertkd.jsonl import LineIndex
from assertkd.records import Record

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """Some records of one file, with the kinds of target of each.

    Attributes:
        records: the file.
        predictions: the teacher's predictions; None if none is a target.
        ids: the records that have a target.
        gold: (records,) whether the record's gold assertion is a target.
        predicted: (records,) whether the teacher's prediction is one.
    """

    records: LineIndex
    predictions: LineIndex | None
    ids: Sequence[str]
    gold: Flags
    predicted: Flags


def gold_part(records: LineIndex) -> Part:
    """Return all records of a file with their gold assertions."""
    count = len(records)
    return Part(records, None, records.ids, np.ones(count, np.bool_), np.zeros(count, np.bool_))


def chosen_part(
    records: LineIndex,
    predictions: LineIndex | None,
    gold: Container[str],
    predicted: Container[str],
) -> Part:
    """Return the records that have a target.

    Args:
        records: the file.
        predictions: the teacher's predictions.
        gold: ids of the records whose gold assertion is a target.
        predicted: ids of those whose prediction is one; ids without a prediction are ignored.
    """
    has_gold = np.array([identity in gold for identity in records.ids], np.bool_)
    available: Container[str] = () if predictions is None else predictions
    has_predicted = np.array([identity in predicted and identity in available for identity in records.ids], np.bool_)
    kept = has_gold | has_predicted
    ids = [identity for identity, keep in zip(records.ids, kept, strict=True) if keep]
    return Part(records, predictions, ids, has_gold[kept], has_predicted[kept])


class TrainingRecords:
    """The records of several parts in a row, numbered from 0. A record is in memory only while it is read.

    Attributes:
        targets: (records,) how many targets each record has, 1 or 2.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part.ids) for part in parts)])
        self.targets = np.concatenate([part.gold.astype(np.int64) + part.predicted for part in parts])

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.targets)

    def read(self, numbers: Iterable[int]) -> Iterator[tuple[Record, str]]:
        """Yield each record of these ascending numbers with each of its targets, gold first.

        Raises:
            UserError: a file has changed since it was indexed.
        """
        chosen = np.fromiter(numbers, np.int64)
        for part, start, end in zip(self._parts, self._starts, self._starts[1:], strict=False):
            rows = chosen[(chosen >= start) & (chosen < end)] - start
            ids = [part.ids[row] for row in rows]
            with_prediction = [part.ids[row] for row in rows if part.predicted[row]]
            predictions = part.predictions.lines(with_prediction) if part.predictions is not None else iter(())
            for row, line in zip(rows, part.records.lines(ids), strict=True):
                record = _record(line, part.records)
                if part.gold[row]:
                    yield record, record.assertion
                if part.predicted[row]:
                    yield record, next(predictions)["teacher_prediction"]


def _record(line: dict[str, object], index: LineIndex) -> Record:
    try:
        return Record.from_dict(line)
    except KeyError as fault:
        raise UserError(
            f"{index.path}: {line['id']!r} is no record ({fault!r})", "Delete the file and rerun `prepare_corpus`."
        ) from None
