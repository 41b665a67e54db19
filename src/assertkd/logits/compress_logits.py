"""The logits stage: one pass of the teacher over every split, teacher-forced on the targets, into the store."""

import logging
from collections.abc import Sequence
from pathlib import Path

from assertkd.batching.examples import Example
from assertkd.corpus.targets import Supervision, training_targets, write_teacher_predictions
from assertkd.files import write_json
from assertkd.logits.fidelity.figure import draw_fidelity
from assertkd.logits.fidelity.report import described, fidelity_report
from assertkd.logits.head_inputs import sample_positions
from assertkd.logits.teacher_pass import Recorder
from assertkd.settings import LogitsSettings

SPLITS = ("train", "validation", "test")
PREDICTED_SPLITS = ("train", "validation")
"""Splits that students see in training; the test's predictions are the evaluation's."""

log = logging.getLogger(__name__)


def compress_logits(
    settings: LogitsSettings,
    supervision: Supervision,
    teacher: Path,
    corpus: Path,
    folder: Path,
    temperatures: Sequence[float] = (),
) -> None:
    """Write `{split}/` stores, `teacher_predictions.jsonl`, `fidelity.json` and `fidelity.svg` to `folder`.

    Args:
        settings: codec, batch size and the fidelity report's sample.
        supervision: what the targets are.
        teacher: the fine-tuned teacher's `final_model/`.
        corpus: folder with `{split}.jsonl`.
        folder: where the stores go.
        temperatures: those that the codec `topk` keeps the tail's mass at, besides 1; the other codecs are good
            for every temperature.

    Raises:
        UserError: the teacher or the corpus is missing, or the teacher's vectors do not fit the codec.
    """
    recorder = Recorder(settings, supervision.max_input_len, supervision.max_output_len, teacher, temperatures)
    predictions: dict[str, dict[str, str]] = {}
    # One split after the other, so that only one is in memory.
    for split in SPLITS:
        path = corpus / f"{split}.jsonl"
        records, inputs = recorder.read(path)
        targets = {record.id: record.assertion for record in records}
        if split in PREDICTED_SPLITS:
            predictions[split] = recorder.predict(records, inputs, split)
        if split == "train":
            targets = training_targets(records, supervision, predictions["train"])
        examples = [
            Example(record.id, ids, recorder.prompt.encode_target(targets[record.id]))
            for record, ids in zip(records, inputs, strict=True)
        ]
        recorder.compress(examples, split, path, folder / split)
        if split == "train":
            # What students train on is what the cache must be true of; the test split decides nothing.
            _report_fidelity(recorder, examples, settings, folder)
    write_teacher_predictions(folder / "teacher_predictions.jsonl", predictions)


def _report_fidelity(recorder: Recorder, examples: Sequence[Example], settings: LogitsSettings, folder: Path) -> None:
    wanted, device = settings.fidelity, recorder.device
    # A pass of its own, so that a resumed run, which skips what is stored, measures the same sample.
    sample = sample_positions(recorder.model, examples, wanted.positions, wanted.seed, settings.batch_size, device)
    report = fidelity_report(sample, recorder.codec(), device)
    report["sample"] |= {"split": "train", "seed": wanted.seed}
    write_json(folder / "fidelity.json", report)
    draw_fidelity(report, folder / "fidelity.svg")
    for line in described(report):
        log.info("%s", line)
