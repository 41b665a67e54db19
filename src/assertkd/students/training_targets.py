"""What one student learns from: its records with their targets, and the teacher's distributions along these."""

import logging
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.targets import index_teacher_predictions
from assertkd.corpus.training_records import Part, TrainingRecords
from assertkd.errors import UserError
from assertkd.jsonl import LineIndex
from assertkd.layout import CorpusLayout, LogitsLayout
from assertkd.logits.store.manifest import MANIFEST_FILE
from assertkd.logits.store.reader import JoinedStores, StoreReader
from assertkd.students.params import DistillStudentParams

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingTargets:
    """Records with targets, the teacher's distributions along them where the loss reads these, and the files."""

    records: TrainingRecords
    teacher: JoinedStores | None
    files: tuple[Path, ...]


def open_training_targets(params: DistillStudentParams, corpus: Path, logits: Path | None) -> TrainingTargets:
    """Return what a student learns from; records are read when they are asked for.

    Args:
        corpus: folder with `train.jsonl`, and `unlabelled.jsonl` where that is learnt.
        logits: folder with the teacher's predictions and stores; None for a student that needs none.

    Raises:
        UserError: an input is missing, or the stores do not belong to the corpus or to each other.
    """
    policy, supervision, records = params.target_policy, params.supervision, CorpusLayout(corpus)
    if logits is None and policy.needs_logits:
        problem = "This student learns from the teacher, and there are no logits"
        raise UserError(problem, "Run `compress_logits` first.")
    knowledge = LogitsLayout(logits or Path())
    training = LineIndex(records.train, "prepare_corpus")
    predictions = None
    if policy.learns_predictions:
        predictions = index_teacher_predictions(knowledge.teacher_predictions, "train")
    labelled = supervision.gold_ids("train", training.ids)
    withheld = set(training.ids) - labelled if policy.learns_withheld else set[str]()
    part = Part(
        training,
        predictions,
        gold=labelled if policy.targets != "teacher" else (),
        predicted=withheld | labelled if policy.targets != "gold" else withheld,
    )
    counts = (len(part.ids), len(training), part.gold.sum(), part.predicted.sum())
    log.info("%d of %d training records have a target: %d gold, %d the teacher's prediction", *counts)
    parts = [part]
    if policy.learns_unlabelled:
        unlabelled = LineIndex(records.unlabelled, "prepare_unlabelled")
        predictions = index_teacher_predictions(knowledge.unlabelled_predictions, "unlabelled")
        parts.append(Part(unlabelled, predictions, gold=(), predicted=unlabelled))
        log.info("%d unlabelled records are learnt from the teacher alone", len(parts[-1].ids))
    files = [index.path for part in parts for index in (part.records, part.predictions) if index is not None]
    teacher = None
    if policy.needs_distributions:
        folders = [knowledge.store(name) for name in policy.stores]
        files += [folder / MANIFEST_FILE for folder in folders]
        sources = {knowledge.unlabelled: records.unlabelled}
        teacher = JoinedStores(
            [
                StoreReader.of_inputs(folder, records=sources.get(folder, records.train), tokenizer=records.tokenizer)
                for folder in folders
            ]
        )
    return TrainingTargets(TrainingRecords(parts), teacher, tuple(files))
