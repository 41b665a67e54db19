"""The records that a model trains on and the targets of each, read from their files on demand."""

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import compress

import numpy as np

from assertkd.errors import UserError
from assertkd.jsonl import LineIndex
from assertkd.records import Record


class Part:
    """The records of one file that have a target.

    Args:
        records: the file.
        predictions: the teacher's predictions; None if none is a target.
        gold: ids of the records whose gold assertion is a target.
        predicted: ids of those whose prediction is one; ids without a prediction are ignored.

    Attributes:
        ids: the records that have a target.
        gold: (records,) whether the record's gold assertion is one.
        predicted: (records,) whether the teacher's prediction is one.
    """

    def __init__(
        self, records: LineIndex, predictions: LineIndex | None, gold: Container[str], predicted: Container[str]
    ) -> None:
        self.records, self.predictions = records, predictions
        available: Container[str] = () if predictions is None else predictions
        has_gold = np.array([identity in gold for identity in records.ids], np.bool_)
        has_predicted = np.array([each in predicted and each in available for each in records.ids], np.bool_)
        kept = has_gold | has_predicted
        self.ids = list(compress(records.ids, kept))
        self.gold, self.predicted = has_gold[kept], has_predicted[kept]


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
            predictions = iter(()) if part.predictions is None else part.predictions.lines(with_prediction)
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
            f"{index.path}: {line['id']!r} is no record ({fault!r})", "Move the file away and rerun `prepare_corpus`."
        ) from None
