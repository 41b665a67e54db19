"""What one student learns from: its records with their targets, and the teacher's distributions along these."""

import logging
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import Supervision, index_teacher_predictions
from assertkd.corpus.training_records import Part, TrainingRecords, chosen_part
from assertkd.errors import UserError
from assertkd.jsonl import LineIndex
from assertkd.logits.store.joined import JoinedStores
from assertkd.logits.store.reader import StoreReader

TEACHER_PREDICTIONS = "teacher_predictions.jsonl"
UNLABELLED_PREDICTIONS = "unlabelled_predictions.jsonl"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TargetPolicy:
    """Which targets a student learns.

    Attributes:
        targets: of the records whose gold assertion it may use: that assertion, the teacher's prediction, or both.
        learns_withheld: whether it learns the teacher's prediction where gold is withheld; otherwise such records are
            left out.
        learns_unlabelled: whether it learns the teacher's predictions on the records without an assertion.
        needs_distributions: whether its loss reads the teacher's distributions.
    """

    targets: Literal["gold", "teacher", "both"]
    learns_withheld: bool
    learns_unlabelled: bool
    needs_distributions: bool

    @property
    def needs_logits(self) -> bool:
        """Whether anything is read that the teacher has left."""
        return self.needs_distributions or self.learns_unlabelled or self.learns_predictions

    @property
    def learns_predictions(self) -> bool:
        """Whether predictions on training records are learnt."""
        return self.targets != "gold" or self.learns_withheld


@dataclass
class TrainingTargets:
    """A student's material.

    Attributes:
        records: with their targets.
        teacher: the teacher's distributions along the targets; None where the loss reads none.
        files: the files that all this is read from.
    """

    records: TrainingRecords
    teacher: JoinedStores | None
    files: list[Path] = field(default_factory=list)


def open_training_targets(
    target_policy: TargetPolicy, supervision: Supervision, corpus: Path, logits: Path | None
) -> TrainingTargets:
    """Return what a student learns from; records are read when they are asked for.

    Args:
        target_policy: what it is to learn.
        supervision: which records have gold targets.
        corpus: folder with `train.jsonl`, and `unlabelled.jsonl` where that is learnt.
        logits: folder with the teacher's predictions and stores; None for a student that needs none.

    Raises:
        UserError: an input is missing, or the stores do not belong together.
    """
    if logits is None and target_policy.needs_logits:
        raise UserError("This student learns from the teacher, and no logits are given", "Run `compress_logits` first.")
    files: list[Path] = []
    parts = [_labelled_part(target_policy, supervision, corpus, logits, files)]
    if target_policy.learns_unlabelled and logits is not None:
        parts.append(_unlabelled_part(corpus, logits, files))
    teacher = None
    if target_policy.needs_distributions and logits is not None:
        names = ["train"]
        names += ["train_predictions"] if target_policy.targets != "gold" else []
        names += ["unlabelled"] if target_policy.learns_unlabelled else []
        files += [logits / name / "manifest.json" for name in names]
        teacher = JoinedStores([StoreReader(logits / name) for name in names])
    return TrainingTargets(TrainingRecords(parts), teacher, files)


def _labelled_part(
    target_policy: TargetPolicy, supervision: Supervision, corpus: Path, logits: Path | None, files: list[Path]
) -> Part:
    records = LineIndex(corpus / "train.jsonl", "prepare_corpus")
    files.append(records.path)
    predictions = None
    if target_policy.learns_predictions and logits is not None:
        predictions = index_teacher_predictions(logits / TEACHER_PREDICTIONS, "train")
        files.append(predictions.path)
    labelled = labelled_ids(records.ids, supervision.labelled_share, supervision.seed)
    withheld = set(records.ids) - labelled if target_policy.learns_withheld else set[str]()
    none: Container[str] = ()
    part = chosen_part(
        records,
        predictions,
        gold=labelled if target_policy.targets != "teacher" else none,
        predicted=withheld | labelled if target_policy.targets != "gold" else withheld,
    )
    log.info(
        "%d of %d training records have a target: %d gold, %d the teacher's prediction",
        len(part.ids),
        len(records),
        part.gold.sum(),
        part.predicted.sum(),
    )
    return part


def _unlabelled_part(corpus: Path, logits: Path, files: list[Path]) -> Part:
    records = LineIndex(corpus / "unlabelled.jsonl", "prepare_unlabelled")
    predictions = index_teacher_predictions(logits / UNLABELLED_PREDICTIONS, "unlabelled")
    files += [records.path, predictions.path]
    part = chosen_part(records, predictions, gold=(), predicted=records.ids)
    log.info("%d unlabelled records are learnt from the teacher alone", len(part.ids))
    return part
