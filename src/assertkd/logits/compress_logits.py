"""The rule `compress_logits`: one pass of the teacher over every split, teacher-forced on the targets."""

import logging
from pathlib import Path

import torch

from assertkd.batching.examples import Example
from assertkd.corpus.targets import training_targets, write_teacher_predictions
from assertkd.files import write_json
from assertkd.layout import SPLITS, CorpusLayout, LogitsLayout
from assertkd.logits.fidelity.figure import draw_fidelity
from assertkd.logits.fidelity.report import fidelity_report, format_fidelity
from assertkd.logits.params import CompressLogitsParams
from assertkd.logits.teacher_pass import TeacherPass

PREDICTED_SPLITS = ("train", "validation")
"""Splits that students see in training; the test's predictions are the evaluation's."""

log = logging.getLogger(__name__)


def compress_logits(params: CompressLogitsParams, teacher: Path, corpus: Path, folder: Path) -> None:
    """Write `{split}/` stores, `teacher_predictions.jsonl`, `fidelity.json` and `fidelity.svg` to `folder`.

    Args:
        params: the codec, what the targets are, and the fidelity report's sample.
        teacher: the fine-tuned teacher's `final_model/`.
        corpus: folder with `{split}.jsonl`.

    Raises:
        UserError: the teacher or the corpus is missing, or the teacher's vectors do not fit the codec.
    """
    teacher_pass = TeacherPass(params, teacher)
    predictions: dict[str, dict[str, str]] = {}
    layout = LogitsLayout(folder)
    # One split after the other, so that only one is in memory.
    for split in SPLITS:
        path = CorpusLayout(corpus).split(split)
        records, inputs = teacher_pass.read(path)
        targets = {record.id: record.assertion for record in records}
        if split in PREDICTED_SPLITS:
            predictions[split] = teacher_pass.predict(records, inputs, split)
        if split == "train":
            targets = training_targets(records, params.supervision, predictions["train"])
        examples = [
            Example(record.id, ids, teacher_pass.prompt.encode_target(targets[record.id]))
            for record, ids in zip(records, inputs, strict=True)
        ]
        teacher_pass.compress(examples, split, path, layout.store(split))
        if split == "train":
            # Students train on this split, so the fidelity is measured on it; the test split decides nothing.
            # A second pass over the sample, so that a resumed run, which skips what is stored, measures the same.
            options = params.logits.fidelity
            sample = teacher_pass.sample(examples, options.positions, options.seed)
            # Apple's GPU has no float64, in which divergences are taken.
            device = torch.device("cpu") if teacher_pass.device.type == "mps" else teacher_pass.device
            report = fidelity_report(sample, teacher_pass.codec, device)
            report["sample"] |= {"split": "train", "seed": options.seed}
            write_json(layout.fidelity, report)
            draw_fidelity(report, layout.fidelity_picture)
            for line in format_fidelity(report):
                log.info("%s", line)
    write_teacher_predictions(layout.teacher_predictions, predictions)
