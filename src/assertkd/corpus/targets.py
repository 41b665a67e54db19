"""What a training record's target is: its gold assertion, or the teacher's own prediction where gold is withheld."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.line_index import LineIndex
from assertkd.corpus.split import labelled_ids
from assertkd.errors import UserError
from assertkd.files import written_whole
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
    with written_whole(path) as handle:
        for split, texts in predictions.items():
            for identity, text in texts.items():
                line = {"split": split, "id": identity, "teacher_prediction": text}
                handle.write(json.dumps(line, ensure_ascii=False) + "\n")


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
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `compress_logits` first.")
    predictions: dict[str, str] = {}
    with path.open("rb") as handle:
        for number, raw in enumerate(handle, start=1):
            try:
                line = json.loads(raw)
                if line["split"] == split:
                    predictions[line["id"]] = line["teacher_prediction"]
            except (ValueError, KeyError, TypeError) as fault:
                raise UserError(
                    f"{path}:{number}: not a prediction ({fault!r})", "Delete the file and rerun `compress_logits`."
                ) from None
    return predictions
