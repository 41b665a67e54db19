"""Records that are predicted for or evaluated outside a run, and what their lines hold of a teacher."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.params import Reading
from assertkd.corpus.record_audit import RecordAudit
from assertkd.corpus.visible_answers import SHOWN
from assertkd.errors import UserError
from assertkd.evaluation.score import count_of
from assertkd.logits.interchange.lines import InterchangeLine, read_interchange
from assertkd.records import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExternalTeacher:
    """What the lines of records hold of a teacher: record id to its prediction, and whether all have its logits too."""

    predictions: dict[str, str]
    has_logits: bool


@dataclass(frozen=True, slots=True)
class EvaluationRecords:
    """The records of a file.

    Attributes:
        path: the file.
        records: in their order, each with an id of its own.
        places: record id to its file and line, as `InterchangeLine.where`.
    """

    path: Path
    records: list[Record]
    places: dict[str, str]

    def lines(self, ids: Iterable[str]) -> Iterator[tuple[str, InterchangeLine]]:
        """Yield these records' ids with their lines, one in memory at a time, in the order of the file."""
        wanted = {self.places[id_]: id_ for id_ in ids}
        for line in read_interchange(self.path, strict=False):
            if line.where in wanted:
                yield wanted.pop(line.where), line
            if not wanted:
                return

    def teacher(self, *, is_needed: bool) -> ExternalTeacher | None:
        """Return what the lines hold of a teacher; None where no line has its prediction, or not all have.

        Args:
            is_needed: whether a record without the prediction that others have is an error.

        Raises:
            UserError: a record lacks the prediction and `is_needed`, or it shares its line with another record.
        """
        predictions: dict[str, str | None] = {}
        has_logits = True
        for id_, line in self.lines(self.places):
            predictions[id_] = line.prediction
            has_logits = has_logits and line.packed is not None
        found = {id_: text for id_, text in predictions.items() if text is not None}
        if not found:
            return None
        if missing := [id_ for id_ in predictions if id_ not in found]:
            lack = f"{self.path}: has no teacher_prediction for {count_of(missing)}"
            if is_needed:
                raise UserError(lack, "Give every line one, or name what is evaluated with --model or --predictions.")
            log.warning("%s; there is no comparison with a teacher, unless --teacher names it", lack)
            return None
        if len(predictions) < len(self.places):
            raise UserError(
                f"{self.path}: a teacher_prediction is for several assertions of its line",
                "Take them as one target with --data.multiple join.",
            )
        return ExternalTeacher(found, has_logits)


def read_evaluation_records(
    path: Path, reading: Reading, *, labelled: bool | None = True, is_option: bool = True
) -> EvaluationRecords:
    """Return the records of a file, raw or with a teacher's logits; a warning says how many show their assertion.

    Args:
        path: the file.
        reading: how to read it.
        labelled: whether a record needs an assertion; None if it is optional.
        is_option: whether the command has an option for what is done with bad records.

    Raises:
        UserError: the file is missing or has no good record, or a line is bad and `on_bad_record` is `error`.
    """
    audit = RecordAudit()
    instead = ", or add --data.on_bad_record reject to go on without it" * is_option
    records = audit.read_all(path, reading, labelled=labelled, remedy=f"Correct the line{instead}.")
    if audit.rejections:
        log.warning("%s: left out as bad: %s", path, audit.summary())
    kinds = audit.shown_by_kind(records)
    if kinds and reading.on_visible_answer == "keep":
        log.warning(
            "%s: %d of %d records %s (%s)",
            *(path, sum(kinds.values()), len(records), SHOWN),
            "; ".join(f"{count} {kind}" for kind, count in kinds.items()),
        )
    return EvaluationRecords(path, records, {id_: f"{file}:{line}" for id_, (file, line) in audit.places.items()})
