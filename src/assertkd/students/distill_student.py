"""The rule `distill_student`: a variant's loss, on the corpus and the teacher's stored logits."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example, TeacherSource
from assertkd.corpus.tokenizer import choose_tokenizer
from assertkd.errors import UserError
from assertkd.files import read_json
from assertkd.layout import CorpusLayout, LogitsLayout, TrainingLayout
from assertkd.logits.aligned_teacher import AlignedTeacher
from assertkd.logits.fidelity.temperature import temperature_warning
from assertkd.logits.store.reader import JoinedStores
from assertkd.models.distillable import DistillableModel
from assertkd.models.embedding_file import pin_targets
from assertkd.models.encoders import TextEncoder
from assertkd.models.registry import build_model, load_model, weights_file
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import read_records
from assertkd.runtime.devices import resolve_device
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import StudentModelSettings
from assertkd.students.params import DistillStudentParams, encoder_slug
from assertkd.students.training_targets import open_training_targets
from assertkd.training.data import (
    ExamplePool,
    OnPolicyTeacher,
    TrainingData,
    load_validation_encoder,
    training_examples,
    validation_examples,
)
from assertkd.training.parallel.launch import in_processes
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import Recipe
from assertkd.training.train import logged_to, train

LOGGED_EXAMPLES = 256
"""Of a student with a tokenizer of its own, whose alignment with the teacher's tokens is logged."""

log = logging.getLogger(__name__)


@in_processes
def distill_student(
    params: DistillStudentParams,
    seed: int,
    corpus: Path,
    logits: Path | None,
    embeddings: Sequence[Path],
    folder: Path,
    teacher: Path | None = None,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Train a student and write `final_model/` and the training logs to `folder`.

    Args:
        seed: of its weights, batches and dropout.
        corpus: folder with `train.jsonl`, `validation.jsonl` and `tokenizer/`.
        logits: folder with the teacher's predictions and stores; None for a student that needs none.
        embeddings: files of `embed_targets`, each in a folder of its encoder's name.
        teacher: the teacher's `final_model/`; None for a student without `params.needs_teacher_model`.
        checkpoints: where an interrupted training is continued from; `folder/checkpoints` if None.
        config: the configuration of the whole run, for the report.

    Raises:
        UserError: an input is missing or belongs to another corpus or tokenizer, or training cannot go on.
    """
    records_files, results, supervision = CorpusLayout(corpus), TrainingLayout(folder), params.supervision
    checkpoints = checkpoints or results.checkpoints
    with logged_to(results.log, continued=checkpoints.exists()):
        seed_everything(seed)
        _warn_of_unfaithful_logits(params.loss.temperature, logits)
        of_run = load_tokenizer(records_files.tokenizer)
        tokenizer = of_run if params.model.tokenizer is None else _own_tokenizer(params.model, records_files)
        prompt = Prompt(tokenizer, supervision.max_input_len, supervision.max_output_len)
        targets = open_training_targets(params, corpus, logits)
        pool = ExamplePool(targets.records, prompt, marked=params.loss.critical_token_weight is not None)
        examples = training_examples(pool, params.training)
        # Of a file that is not loaded, the first epoch's targets stand for all; others are embedded as they come.
        first_epoch = examples.examples(1) if isinstance(examples, EpochSampler) else examples
        layers, dropout = params.model.layers, params.training.dropout_rate
        if layers is None:
            shared = targets.teacher if tokenizer is of_run else None
            model = build_model(params.model, tokenizer, dropout, None if shared is None else shared.vocab_size)
        else:
            model = _load_teacher(teacher, tokenizer).with_layers(layers, dropout)
            if params.model.teacher_heads is not None or params.model.teacher_d_ff is not None:
                model = model.narrowed(params.model.teacher_heads, params.model.teacher_d_ff)
        model.remember_length_limits(supervision.max_input_len, supervision.max_output_len)
        frozen_teacher = None
        if params.keeps_teacher:
            frozen_teacher = _load_teacher(teacher, tokenizer).eval().requires_grad_(False)
        teacher_files = () if teacher is None else (weights_file(teacher),)
        data = TrainingData(
            train=examples,
            validation=validation_examples(records_files.validation, prompt, params.training),
            teacher=_distributions(targets.teacher, of_run, prompt, model.vocab_size, first_epoch[:LOGGED_EXAMPLES]),
            files=(*targets.files, records_files.validation, *teacher_files),
            encoders=_load_encoders(params, embeddings, [example.target for example in first_epoch]),
            max_new_tokens=supervision.max_output_len,
            on_policy=_on_policy_teacher(params, model, frozen_teacher),
            hidden_teacher=frozen_teacher if params.loss.hidden is not None else None,
            validation_encoder=load_validation_encoder(params.validation_encoder, params.training),
        )
        inputs = {
            "corpus": str(corpus),
            "logits": logits and str(logits),
            "teacher": teacher and str(teacher),
            "embeddings": [str(file) for file in embeddings],
        }
        recipe = Recipe("student", params.model_dump(mode="json") | {"seed": seed}, inputs, config)
        plan, settings = params.loss, params.training
        train(model, tokenizer, data, plan, settings, seed, folder, checkpoints=checkpoints, recipe=recipe)


def _warn_of_unfaithful_logits(temperature: float | None, logits: Path | None) -> None:
    """Say in the log and on the terminal where the logits are not the teacher's at the distillation temperature."""
    if temperature is None or logits is None or not ProcessGroup().is_first:
        return
    fidelity = LogitsLayout(logits).fidelity
    warning = temperature_warning(read_json(fidelity), temperature) if fidelity.is_file() else None
    if warning is not None:
        log.warning("%s", warning)
        print(f"Warning: {warning}", file=sys.stderr)


def _load_encoders(
    params: DistillStudentParams, embeddings: Sequence[Path], texts: Sequence[str]
) -> dict[str, TextEncoder]:
    """Return the encoder of every loss component that embeds texts, with the target texts' embeddings pinned in it."""
    processes = ProcessGroup()
    device = resolve_device(params.training.device, processes.rank, processes.size)
    encoders = {name: TextEncoder(name, device) for name in params.encoders}
    for name, encoder in encoders.items():
        files = [file for file in embeddings if file.parent.name == encoder_slug(name)]
        computed = pin_targets(encoder, files, texts)
        log.info("%s: %d of the targets' embeddings were not in the files", name, computed)
    return {one.name: encoders[one.encoder] for one in params.loss.components if one.encoder is not None}


def _own_tokenizer(model: StudentModelSettings, corpus: CorpusLayout) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a student that has one of its own."""
    assert model.tokenizer is not None, "asked for"
    records, decoder_only = read_records(corpus.train), model.is_decoder_only_scratch
    return choose_tokenizer(model.tokenizer, model.name, records, decoder_only=decoder_only)


def _distributions(
    stores: JoinedStores | None,
    tokenizer: PreTrainedTokenizerFast,
    prompt: Prompt,
    entries: int,
    some: Sequence[Example],
) -> TeacherSource | None:
    """Return the teacher's distributions over the student's vocabulary of so many entries.

    Args:
        stores: None where the loss reads none.
        tokenizer: the teacher's.
        prompt: how the student encodes targets.
        entries: of the student's vocabulary.
        some: examples, by which the log says how far the tokens go together.
    """
    if stores is None:
        return None
    if prompt.tokenizer is tokenizer:
        _check_vocabularies("the loss", entries, stores.vocab_size)
        return stores
    of_teacher = Prompt(tokenizer, prompt.max_input_len, prompt.max_output_len)
    aligned = AlignedTeacher(stores, of_teacher, prompt, entries)
    share = 100 * aligned.aligned_share(some)
    log.info("%.1f %% of the target tokens of %d examples go with the teacher's", share, len(some))
    return aligned


def _on_policy_teacher(
    params: DistillStudentParams, student: DistillableModel, teacher: DistillableModel | None
) -> OnPolicyTeacher | None:
    if params.on_policy is None or teacher is None:
        return None
    _check_vocabularies("on_policy", student.vocab_size, teacher.vocab_size)
    return OnPolicyTeacher(teacher, params.on_policy)


def _load_teacher(folder: Path | None, tokenizer: PreTrainedTokenizerFast) -> DistillableModel:
    if folder is None:
        raise UserError("This student needs the teacher itself, and there is none", "Run `train_teacher` first.")
    return load_model(folder, tokenizer=tokenizer)


def _check_vocabularies(reader: str, student: int, teacher: int) -> None:
    if student != teacher:
        raise UserError(
            f"{reader}: the student has {student} vocabulary entries, the teacher {teacher}",
            "Choose a student of the teacher's vocabulary.",
        )
