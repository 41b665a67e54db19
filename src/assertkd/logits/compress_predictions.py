"""The rule `compress_predictions`: what the teacher knows along its own predictions, for students that learn them."""

from pathlib import Path

from assertkd.batching.examples import Example
from assertkd.corpus.targets import read_teacher_predictions
from assertkd.logits.params import CompressPredictionsParams
from assertkd.logits.teacher_pass import TeacherPass


def compress_predictions(
    params: CompressPredictionsParams, teacher: Path, records_file: Path, predictions_file: Path, folder: Path
) -> None:
    """Write to `folder` the store of the training records whose prediction `compress_logits` has not stored.

    These are the records whose gold assertion students may use and for which the teacher writes another target.

    Args:
        params: codec, batch size, lengths, and which records have gold targets.
        teacher: the fine-tuned teacher's `final_model/`.
        records_file: the training split.
        predictions_file: the teacher's predictions, as `compress_logits` wrote them.

    Raises:
        UserError: an input is missing, or the teacher's vectors do not fit the codec.
    """
    teacher_pass, supervision = TeacherPass(params, teacher), params.supervision
    predictions = read_teacher_predictions(predictions_file, "train")
    records, inputs = teacher_pass.read(records_file)
    labelled = supervision.gold_ids("train", [record.id for record in records])
    examples = []
    for record, ids in zip(records, inputs, strict=True):
        if record.id in labelled and record.id in predictions:
            target = teacher_pass.prompt.encode_target(predictions[record.id])
            if target != teacher_pass.prompt.encode_target(record.assertion):
                examples.append(Example(record.id, ids, target))
    teacher_pass.compress(examples, "predictions on train", records_file, folder)
