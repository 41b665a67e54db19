"""What one student learns from: its records with their targets, and the teacher's distributions along these."""

import logging
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from assertkd.corpus.split import labelled_ids
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
    """A student's material.

    Attributes:
        records: with their targets.
        teacher: the teacher's distributions along the targets; None where the loss reads none.
        files: the files that all this is read from.
    """

    records: TrainingRecords
    teacher: JoinedStores | None
    files: tuple[Path, ...]


def open_training_targets(params: DistillStudentParams, corpus: Path, logits: Path | None) -> TrainingTargets:
    """Return what a student learns from; records are read when they are asked for.

    Args:
        params: which targets it learns, and which records have gold targets.
        corpus: folder with `train.jsonl`, and `unlabelled.jsonl` where that is learnt.
        logits: folder with the teacher's predictions and stores; None for a student that needs none.

    Raises:
        UserError: an input is missing, or the stores do not belong to the corpus or to each other.
    """
    policy, records = params.target_policy, CorpusLayout(corpus)
    if logits is None:
        if policy.needs_logits:
            problem = "This student learns from the teacher, and there are no logits"
            raise UserError(problem, "Run `compress_logits` first.")
        part, files = _labelled_part(params, records, None)
        return TrainingTargets(TrainingRecords([part]), None, files)
    knowledge = LogitsLayout(logits)
    part, files = _labelled_part(params, records, knowledge)
    parts = [part]
    if policy.learns_unlabelled:
        part, further_files = _unlabelled_part(records, knowledge)
        parts.append(part)
        files += further_files
    teacher = None
    if policy.needs_distributions:
        folders = [knowledge.store(name) for name in policy.stores]
        files += tuple(folder / MANIFEST_FILE for folder in folders)
        sources = {knowledge.unlabelled: records.unlabelled}
        teacher = JoinedStores(
            [
                StoreReader.of_inputs(folder, records=sources.get(folder, records.train), tokenizer=records.tokenizer)
                for folder in folders
            ]
        )
    return TrainingTargets(TrainingRecords(parts), teacher, files)


def _labelled_part(
    params: DistillStudentParams, corpus: CorpusLayout, logits: LogitsLayout | None
) -> tuple[Part, tuple[Path, ...]]:
    policy, supervision = params.target_policy, params.supervision
    records = LineIndex(corpus.train, "prepare_corpus")
    predictions = None
    if policy.learns_predictions and logits is not None:
        predictions = index_teacher_predictions(logits.teacher_predictions, "train")
    labelled = labelled_ids(records.ids, supervision.labelled_share, supervision.seed)
    withheld = set(records.ids) - labelled if policy.learns_withheld else set[str]()
    none: Container[str] = ()
    part = Part(
        records,
        predictions,
        gold=labelled if policy.targets != "teacher" else none,
        predicted=withheld | labelled if policy.targets != "gold" else withheld,
    )
    log.info(
        "%d of %d training records have a target: %d gold, %d the teacher's prediction",
        len(part.ids),
        len(records),
        part.gold.sum(),
        part.predicted.sum(),
    )
    return part, (records.path,) if predictions is None else (records.path, predictions.path)


def _unlabelled_part(corpus: CorpusLayout, logits: LogitsLayout) -> tuple[Part, tuple[Path, ...]]:
    records = LineIndex(corpus.unlabelled, "prepare_unlabelled")
    predictions = index_teacher_predictions(logits.unlabelled_predictions, "unlabelled")
    part = Part(records, predictions, gold=(), predicted=records)
    log.info("%d unlabelled records are learnt from the teacher alone", len(part.ids))
    return part, (records.path, predictions.path)
