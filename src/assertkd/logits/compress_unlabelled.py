"""The rule `compress_unlabelled`: what the teacher predicts and knows on records without an assertion."""

from pathlib import Path

from assertkd.batching.examples import Example
from assertkd.corpus.targets import write_teacher_predictions
from assertkd.layout import LogitsLayout
from assertkd.logits.params import CompressUnlabelledParams
from assertkd.logits.teacher_pass import TeacherPass

UNLABELLED = "unlabelled"
"""Name of these records in the file of predictions."""


def compress_unlabelled(params: CompressUnlabelledParams, teacher: Path, records_file: Path, folder: Path) -> None:
    """Write `unlabelled_predictions.jsonl` and the store `unlabelled/` of records without an assertion to `folder`.

    Args:
        params: codec, lengths, beams and batch size.
        teacher: the fine-tuned teacher's `final_model/`.
        records_file: the records.

    Raises:
        UserError: an input is missing, or the teacher's vectors do not fit the codec.
    """
    teacher_pass = TeacherPass(params, teacher)
    records, inputs = teacher_pass.read(records_file)
    predictions = teacher_pass.predict(records, inputs, UNLABELLED)
    examples = [
        Example(record.id, ids, teacher_pass.prompt.encode_target(predictions[record.id]))
        for record, ids in zip(records, inputs, strict=True)
    ]
    layout = LogitsLayout(folder)
    teacher_pass.compress(examples, UNLABELLED, records_file, layout.unlabelled)
    write_teacher_predictions(layout.unlabelled_predictions, {UNLABELLED: predictions})
