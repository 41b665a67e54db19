"""Stores of what the teacher knows along its own predictions, for the students that learn them."""

from collections.abc import Sequence
from pathlib import Path

from assertkd.batching.examples import Example
from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import Supervision, read_teacher_predictions, write_teacher_predictions
from assertkd.logits.teacher_pass import Recorder
from assertkd.settings import LogitsSettings

UNLABELLED = "unlabelled"
"""The name of the records without an assertion: of their file, their store and their predictions."""


def compress_predictions(
    settings: LogitsSettings,
    supervision: Supervision,
    teacher: Path,
    records_file: Path,
    predictions_file: Path,
    folder: Path,
    temperatures: Sequence[float] = (),
) -> None:
    """Write the store of the training records whose prediction is not what `compress_logits` stored for them.

    That is: records whose gold assertion students may use, where the teacher writes another target than it.

    Args:
        settings: codec and batch size.
        supervision: lengths, and which records have gold targets.
        teacher: the fine-tuned teacher's `final_model/`.
        records_file: the training split.
        predictions_file: the teacher's predictions, as `compress_logits` wrote them.
        folder: where the store goes.
        temperatures: as `compress_logits` takes them.

    Raises:
        UserError: an input is missing, or the teacher's vectors do not fit the codec.
    """
    recorder = Recorder(settings, supervision.max_input_len, supervision.max_output_len, teacher, temperatures)
    predictions = read_teacher_predictions(predictions_file, "train")
    records, inputs = recorder.read(records_file)
    labelled = labelled_ids([record.id for record in records], supervision.labelled_share, supervision.seed)
    examples = []
    for record, ids in zip(records, inputs, strict=True):
        if record.id in labelled and record.id in predictions:
            target = recorder.prompt.encode_target(predictions[record.id])
            if target != recorder.prompt.encode_target(record.assertion):
                examples.append(Example(record.id, ids, target))
    recorder.compress(examples, "predictions on train", records_file, folder)


def compress_unlabelled(
    settings: LogitsSettings,
    max_input_len: int,
    max_output_len: int,
    teacher: Path,
    records_file: Path,
    folder: Path,
    temperatures: Sequence[float] = (),
) -> None:
    """Write `unlabelled_predictions.jsonl` and the store `unlabelled/` of records without an assertion to `folder`.

    Args:
        settings: codec, beams and batch size.
        max_input_len: longest input, in tokens.
        max_output_len: longest prediction, in tokens.
        teacher: the fine-tuned teacher's `final_model/`.
        records_file: the records.
        folder: where both go.
        temperatures: as `compress_logits` takes them.

    Raises:
        UserError: an input is missing, or the teacher's vectors do not fit the codec.
    """
    recorder = Recorder(settings, max_input_len, max_output_len, teacher, temperatures)
    records, inputs = recorder.read(records_file)
    predictions = recorder.predict(records, inputs, UNLABELLED)
    examples = [
        Example(record.id, ids, recorder.prompt.encode_target(predictions[record.id]))
        for record, ids in zip(records, inputs, strict=True)
    ]
    recorder.compress(examples, UNLABELLED, records_file, folder / UNLABELLED)
    write_teacher_predictions(folder / f"{UNLABELLED}_predictions.jsonl", {UNLABELLED: predictions})
