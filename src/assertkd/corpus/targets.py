"""What a training record's target is: its gold assertion, or the teacher's own prediction where gold is withheld."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.split import labelled_ids
from assertkd.jsonl import LineIndex, read_lines, write_lines
from assertkd.records import Record


@dataclass(frozen=True, slots=True)
class Supervision:
    """What models are given and what they are to write.

    Attributes:
        max_input_len: longest input, in tokens.
        max_output_len: longest target, in tokens.
        labelled_share: share of the training records whose target is gold.
        seed: `data.split_seed`.
    """

    max_input_len: int
    max_output_len: int
    labelled_share: float
    seed: int


def training_targets(
    records: Sequence[Record], supervision: Supervision, predictions: Mapping[str, str]
) -> dict[str, str]:
    """Return record id to target for every training record that has one.

    Args:
        records: the training split.
        supervision: says which of them have gold targets.
        predictions: record id to the teacher's prediction; an unlabelled record without one is left out.
    """
    labelled = labelled_ids([record.id for record in records], supervision.labelled_share, supervision.seed)
    gold = {record.id: record.assertion for record in records if record.id in labelled}
    return {r.id: gold.get(r.id, predictions.get(r.id, "")) for r in records if r.id in gold or r.id in predictions}


def write_teacher_predictions(path: Path, predictions: Mapping[str, Mapping[str, str]]) -> None:
    """Write split name to record id to the teacher's prediction as JSONL, whole."""
    write_lines(
        path,
        (
            {"split": split, "id": identity, "teacher_prediction": text}
            for split, texts in predictions.items()
            for identity, text in texts.items()
        ),
    )


def index_teacher_predictions(path: Path, split: str) -> LineIndex:
    """Return the lines of one split in a file of `write_teacher_predictions`, to be read as they are needed.

    Raises:
        UserError: the file is missing, or a line of it is no prediction.
    """

    def of_split(line: Mapping[str, str]) -> bool:
        # Both keys are asked for, so that a line that lacks one is found here and not in the middle of a training.
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
