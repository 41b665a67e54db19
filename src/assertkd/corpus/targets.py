"""Targets of training records: the gold assertion, or the teacher's prediction where gold is withheld."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.split import labelled_ids
from assertkd.jsonl import LineIndex, read_lines, write_lines
from assertkd.records import Record
from assertkd.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Supervision:
    """Greatest lengths of inputs and targets, in tokens, and which share of the training records has gold targets.

    The seed chooses these records.
    """

    max_input_len: int
    max_output_len: int
    labelled_share: float
    seed: int

    @classmethod
    def from_run(cls, run: RunSettings) -> "Supervision":
        """Return the supervision of a run; the seed is 0 where all records are labelled, since it chooses nothing."""
        data = run.data
        seed = data.split_seed if data.labelled_share < 1 else 0
        return cls(data.max_input_len, data.max_output_len, data.labelled_share, seed)

    def gold_ids(self, split: str, ids: Sequence[str]) -> set[str]:
        """Return the ids of a split's records whose target is the gold assertion: all but of the training split."""
        return labelled_ids(ids, self.labelled_share, self.seed) if split == "train" else set(ids)


def training_targets(
    records: Sequence[Record], supervision: Supervision, predictions: Mapping[str, str]
) -> dict[str, str]:
    """Return record id to target for every training record that has one.

    Args:
        records: the training split.
        supervision: says which of them have gold targets.
        predictions: record id to the teacher's prediction; a record with neither gold nor prediction is left out.
    """
    labelled = supervision.gold_ids("train", [record.id for record in records])
    gold = {record.id: record.assertion for record in records if record.id in labelled}
    return {r.id: gold.get(r.id, predictions.get(r.id, "")) for r in records if r.id in gold or r.id in predictions}


def write_teacher_predictions(path: Path, predictions: Mapping[str, Mapping[str, str]]) -> None:
    """Write the teacher's predictions, split name to record id to text, as JSONL, whole."""
    lines = (
        {"split": split, "id": identity, "teacher_prediction": text}
        for split, texts in predictions.items()
        for identity, text in texts.items()
    )
    write_lines(path, lines)


def index_teacher_predictions(path: Path, split: str) -> LineIndex:
    """Return an index of one split's lines in a file of `write_teacher_predictions`.

    Raises:
        UserError: the file is missing, or a line of it is no prediction.
    """

    def of_split(line: Mapping[str, str]) -> bool:
        # Both keys are read, so that a line without one is an error here and not in the middle of a training.
        return line["split"] == split and line["teacher_prediction"] is not None

    return LineIndex(path, "compress_logits", of_split)


def read_teacher_predictions(path: Path, split: str) -> dict[str, str]:
    """Return record id to the teacher's prediction in one split.

    Raises:
        UserError: the file is missing, or a line of it is no prediction.
    """

    def fields_of(line: Mapping[str, str]) -> tuple[str, str, str]:
        return line["split"], line["id"], line["teacher_prediction"]

    lines = read_lines(path, fields_of, what="a prediction", rule="compress_logits")
    return {identity: text for line_split, identity, text in lines if line_split == split}
