"""Distils one student: the shared loop with a variant's loss, from the corpus and the teacher's stored logits."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from assertkd.corpus.line_index import LineIndex
from assertkd.corpus.split import labelled_ids
from assertkd.corpus.targets import Supervision, index_teacher_predictions
from assertkd.corpus.training_records import TrainingRecords, chosen_part
from assertkd.errors import UserError
from assertkd.logits.store_reader import StoreReader
from assertkd.losses.plan import LossPlan
from assertkd.models.embedding_store import load_or_embed
from assertkd.models.encoders import TextEncoder
from assertkd.models.seq2seq import build_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts import Prompt
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.training.data import TrainingData
from assertkd.training.devices import resolve_device
from assertkd.training.epoch_sampling import EpochSampler
from assertkd.training.examples import ExamplePool, training_examples, validation_examples
from assertkd.training.logs import logged_to
from assertkd.training.loop import train
from assertkd.training.provenance import Recipe
from assertkd.training.seeding import seed_everything

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Student:
    """One student to distil.

    Attributes:
        model: its model.
        training: how it is trained.
        loss: what it minimises.
        learns_predictions: whether it learns the teacher's prediction where gold is withheld; otherwise such
            records are left out.
        seed: of its weights, batches and dropout.
    """

    model: ModelSettings
    training: TrainingSettings
    loss: LossPlan
    learns_predictions: bool
    seed: int


def distill_student(
    student: Student,
    supervision: Supervision,
    corpus: Path,
    logits: Path | None,
    embeddings: Path,
    folder: Path,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Train a student and write `final_model/` and the training logs to `folder`.

    Args:
        student: what to train.
        supervision: lengths, and which records have gold targets.
        corpus: folder with `train.jsonl`, `validation.jsonl` and `tokenizer/`.
        logits: folder with `train/` and `teacher_predictions.jsonl`; None for a student that needs neither.
        embeddings: folder for the target texts' embeddings, which students of a run share.
        folder: where the results go.
        checkpoints: where an interrupted training is continued from; `folder/checkpoints` if None.
        config: the configuration of the whole run, for the report.

    Raises:
        UserError: an input is missing or belongs to another corpus or tokenizer, or training cannot go on.
    """
    if logits is None and (student.loss.needs_teacher or student.learns_predictions):
        raise UserError("This student learns from the teacher, and no logits are given", "Run `compress_logits` first.")
    checkpoints = checkpoints or folder / "checkpoints"
    with logged_to(folder / "distillation_log.txt", continued=checkpoints.exists()):
        seed_everything(student.seed)
        tokenizer = load_tokenizer(corpus / "tokenizer")
        prompt = Prompt(tokenizer, supervision.max_input_len, supervision.max_output_len)
        records = LineIndex(corpus / "train.jsonl", "prepare_corpus")
        files = [corpus / "train.jsonl", corpus / "validation.jsonl"]
        predictions = store = None
        if logits is not None and student.learns_predictions:
            files.append(logits / "teacher_predictions.jsonl")
            predictions = index_teacher_predictions(logits / "teacher_predictions.jsonl", "train")
        if logits is not None and student.loss.needs_teacher:
            files.append(logits / "train" / "manifest.json")
            store = StoreReader(logits / "train")
        gold = labelled_ids(records.ids, supervision.labelled_share, supervision.seed)
        withheld = set(records.ids) - gold if student.learns_predictions else set()
        chosen = TrainingRecords([chosen_part(records, predictions, gold, withheld)])
        log.info("%d of %d training records have a target", len(chosen), len(records))
        pool = ExamplePool(chosen, prompt, marked=student.loss.critical_token_weight is not None)
        examples = training_examples(pool, student.training)
        # Of a file that is not loaded, the first epoch's targets stand for all; others are embedded as they come.
        targets = examples.examples(1) if isinstance(examples, EpochSampler) else examples
        validation, sample = validation_examples(corpus / "validation.jsonl", prompt, student.training)
        data = TrainingData(
            train=examples,
            validation=validation,
            teacher=store,
            sample=sample,
            files=tuple(files),
            encoders=load_encoders(student, [example.target for example in targets], embeddings),
            max_new_tokens=supervision.max_output_len,
        )
        model = build_model(student.model, tokenizer, student.training.dropout_rate)
        if store is not None and model.config.vocab_size != store.codec.vocab_size:
            raise UserError(
                f"the student has {model.config.vocab_size} vocabulary entries, the teacher {store.codec.vocab_size}",
                "Choose a student of the teacher's vocabulary.",
            )
        paths = {"corpus": corpus, "logits": logits, "embeddings": embeddings}
        recipe = Recipe(
            stage="student",
            settings=to_jsonable_python(student) | {"supervision": to_jsonable_python(supervision)},
            inputs={name: None if path is None else str(path) for name, path in paths.items()},
            config=config,
        )
        train(
            *(model, tokenizer, data, student.loss, student.training, student.seed, folder),
            checkpoints=checkpoints,
            recipe=recipe,
        )


def load_encoders(student: Student, texts: Sequence[str], folder: Path) -> dict[str, TextEncoder]:
    """Return the encoder of every loss component that embeds texts, the target texts' embeddings already known to it.

    Components that name the same encoder share it. The embeddings are read from `folder`, or computed and written
    there.
    """
    device = resolve_device(student.training.device)
    loaded: dict[str, TextEncoder] = {}
    for one in student.loss.components:
        if one.encoder is not None and one.encoder not in loaded:
            encoder = TextEncoder(one.encoder, device)
            served = load_or_embed(folder / f"{encoder.identity}.safetensors", encoder, texts)
            log.info("%s: embeddings of the targets %s", one.encoder, "read" if served else "computed")
            loaded[one.encoder] = encoder
    return {one.name: loaded[one.encoder] for one in student.loss.components if one.encoder is not None}
