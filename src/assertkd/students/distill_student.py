"""Distils one student: the shared loop with a variant's loss, from the corpus and the teacher's stored logits."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.corpus.targets import Supervision
from assertkd.errors import UserError
from assertkd.losses.loss_plan import LossPlan
from assertkd.models.embedding_file import load_or_embed
from assertkd.models.encoders import TextEncoder
from assertkd.models.length_limits import Limits, remember_limits
from assertkd.models.t5.model import TargetLogits, build_model, load_model, weights_file
from assertkd.models.t5.teacher_layers import from_teacher_layers
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.runtime.devices import resolve_device
from assertkd.runtime.seeding import seed_everything
from assertkd.settings import StudentModelSettings, TrainingSettings
from assertkd.settings.on_policy import OnPolicySettings
from assertkd.students.training_targets import TargetPolicy, open_training_targets
from assertkd.training.data import TrainingData
from assertkd.training.examples import ExamplePool, training_examples, validation_examples
from assertkd.training.logs import logged_to
from assertkd.training.parallel.launch import spread
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.provenance import Recipe
from assertkd.training.terms.on_policy_term import OnPolicy, check_vocabularies
from assertkd.training.trainer import train

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Student:
    """One student to distil.

    Attributes:
        model: its model.
        training: how it is trained.
        loss: what it minimises.
        target_policy: which targets it learns.
        on_policy: how it learns from its own outputs; None where it does not.
        seed: of its weights, batches and dropout.
    """

    model: StudentModelSettings
    training: TrainingSettings
    loss: LossPlan
    target_policy: TargetPolicy
    seed: int
    on_policy: OnPolicySettings | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any], seed: int) -> "Student":
        """Return the student that a rule's params (`settings.params.distill_student`) describe."""
        loss = LossPlan(**params["loss"])
        return cls(
            model=StudentModelSettings(**params["model"]),
            training=TrainingSettings(**params["training"]),
            loss=loss,
            target_policy=TargetPolicy(
                targets=params["targets"],
                learns_withheld=params["learns_withheld"],
                learns_unlabelled=params["learns_unlabelled"],
                needs_distributions=loss.needs_teacher,
            ),
            seed=seed,
            on_policy=OnPolicySettings(**params["on_policy"]) if params["on_policy"] else None,
        )


def distill_student(
    student: Student,
    supervision: Supervision,
    corpus: Path,
    logits: Path | None,
    embeddings: Path,
    folder: Path,
    teacher: Path | None = None,
    checkpoints: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Train a student and write `final_model/` and the training logs to `folder`.

    Args:
        student: what to train.
        supervision: lengths, and which records have gold targets.
        corpus: folder with `train.jsonl`, `validation.jsonl` and `tokenizer/`.
        logits: folder with the teacher's predictions and stores; None for a student that needs none.
        embeddings: folder for the target texts' embeddings, which students of a run share.
        folder: where the results go.
        teacher: the teacher's `final_model/`; None for a student that is not made of its layers and not on-policy.
        checkpoints: where an interrupted training is continued from; `folder/checkpoints` if None.
        config: the configuration of the whole run, for the report.

    Raises:
        UserError: an input is missing or belongs to another corpus or tokenizer, or training cannot go on.
    """
    if spread(distill_student, student.training, locals()):
        return
    checkpoints = checkpoints or folder / "checkpoints"
    with logged_to(folder / "distillation_log.txt", continued=checkpoints.exists()):
        seed_everything(student.seed)
        tokenizer = load_tokenizer(corpus / "tokenizer")
        prompt = Prompt(tokenizer, supervision.max_input_len, supervision.max_output_len)
        training_targets = open_training_targets(student.target_policy, supervision, corpus, logits)
        pool = ExamplePool(training_targets.records, prompt, marked=student.loss.critical_token_weight is not None)
        examples = training_examples(pool, student.training)
        # Of a file that is not loaded, the first epoch's targets stand for all; others are embedded as they come.
        first = examples.examples(1) if isinstance(examples, EpochSampler) else examples
        model = _student_model(student, tokenizer, teacher)
        remember_limits(model, Limits(supervision.max_input_len, supervision.max_output_len))
        validation, sample = validation_examples(corpus / "validation.jsonl", prompt, student.training)
        data = TrainingData(
            train=examples,
            validation=validation,
            teacher=training_targets.teacher,
            sample=sample,
            files=(*training_targets.files, corpus / "validation.jsonl", *([weights_file(teacher)] if teacher else [])),
            encoders=load_encoders(student, [example.target for example in first], embeddings),
            max_new_tokens=supervision.max_output_len,
            on_policy=_on_policy(student, model, teacher, supervision.max_output_len),
        )
        if training_targets.teacher is not None and model.config.vocab_size != training_targets.teacher.vocab_size:
            raise UserError(
                f"the student has {model.config.vocab_size} vocabulary entries, the teacher "
                f"{training_targets.teacher.vocab_size}",
                "Choose a student of the teacher's vocabulary.",
            )
        paths = {"corpus": corpus, "logits": logits, "embeddings": embeddings, "teacher": teacher}
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


def _student_model(
    student: Student, tokenizer: PreTrainedTokenizerFast, teacher: Path | None
) -> T5ForConditionalGeneration:
    layers, dropout = student.model.layers, student.training.dropout_rate
    if layers is None:
        return build_model(student.model, tokenizer, dropout)
    return from_teacher_layers(_teacher(teacher), layers["encoder"], layers["decoder"], dropout)


def _on_policy(
    student: Student, model: T5ForConditionalGeneration, teacher: Path | None, max_new_tokens: int
) -> OnPolicy | None:
    if student.on_policy is None:
        return None
    scorer = _teacher(teacher).eval().requires_grad_(False)
    check_vocabularies(model.config.vocab_size, scorer.config.vocab_size)
    return OnPolicy(TargetLogits(scorer), student.on_policy, max_new_tokens, student.training.batch_size, student.seed)


def _teacher(folder: Path | None) -> T5ForConditionalGeneration:
    if folder is None:
        raise UserError("This student needs the teacher itself, and none is given", "Run `train_teacher` first.")
    return load_model(folder)


def load_encoders(student: Student, texts: Sequence[str], folder: Path) -> dict[str, TextEncoder]:
    """Return the encoder of every loss component that embeds texts, the target texts' embeddings already known to it.

    Components that name the same encoder share it. The embeddings are read from `folder`, or computed and written
    there.
    """
    processes = ProcessGroup()
    device = resolve_device(student.training.device, processes.rank, processes.size)
    loaded: dict[str, TextEncoder] = {}
    for one in student.loss.components:
        if one.encoder is not None and one.encoder not in loaded:
            encoder = TextEncoder(one.encoder, device)
            with processes.first_alone():
                served = load_or_embed(folder / f"{encoder.identity}.safetensors", encoder, texts)
            log.info("%s: embeddings of the targets %s", one.encoder, "read" if served else "computed")
            loaded[one.encoder] = encoder
    return {one.name: loaded[one.encoder] for one in student.loss.components if one.encoder is not None}
