"""What the rules that prepare a cluster use of a run's settings."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from assertkd.settings import ModelSettings, RunSettings, TrainingSettings, load_run
from assertkd.settings.model import SCRATCH, LoraSettings, size_settings
from assertkd.settings.section import Section, merged_over
from assertkd.students.params import DistillStudentParams
from assertkd.teacher.params import TrainTeacherParams


class PrefetchModelsParams(Section):
    """Models, tokenizers and encoders that a run's jobs load by name."""

    models: tuple[str, ...]
    tokenizers: tuple[str, ...]
    encoders: tuple[str, ...]

    @classmethod
    def from_run(cls, run: RunSettings) -> "PrefetchModelsParams":
        """Return the params of a run."""
        teacher = run.teacher.model.name
        teachers = [] if run.has_external_teacher else [teacher]
        # A student made of its teacher's layers loads no model by name.
        named = [variant.model for variant in run.variants.values() if variant.model.teacher_layers is None]
        names = dict.fromkeys([*teachers, *(model.name for model in named)])
        own = [model.own_tokenizer for model in named if model.tokenizer is not None]
        tokenizers = dict.fromkeys([run.tokenizer.name or teacher, *own])
        students = [DistillStudentParams.from_run(run, variant) for variant in run.variants]
        validating = [student.validation_encoder for student in students]
        if not run.has_external_teacher:
            validating.append(TrainTeacherParams.from_run(run).validation_encoder)
        encoders = [*(encoder for student in students for encoder in student.encoders), *filter(None, validating)]
        return cls(
            models=tuple(name for name in names if name != SCRATCH),
            tokenizers=tuple(name for name in tokenizers if name != SCRATCH),
            encoders=tuple(dict.fromkeys(encoders)),
        )


class CheckedTraining(Section):
    """A training whose memory is estimated."""

    model: ModelSettings
    training: TrainingSettings
    lora: LoraSettings = Field(LoraSettings(), exclude_if=lambda lora: lora == LoraSettings())
    frozen_teacher: ModelSettings | None = Field(None, exclude_if=lambda model: model is None)
    """The teacher that runs beside a student which learns its hidden states, or has its outputs scored."""
    learns_inputs: bool = Field(False, exclude_if=lambda learns: not learns)
    """Whether the input's tokens have logits too (`loss.input_weight`)."""


class CheckCudaParams(Section):
    """Each training of the run, equal ones once, the sizes that decide its memory, and the teacher's precision."""

    trainings: dict[str, CheckedTraining]
    logits_precision: Literal["fp32", "bf16"] = Field("fp32", exclude_if=lambda precision: precision == "fp32")
    max_input_len: int
    max_output_len: int
    vocab_size: int

    @classmethod
    def from_run(cls, run: RunSettings) -> "CheckCudaParams":
        """Return the params of a run."""
        trainings: dict[str, CheckedTraining] = {}
        teacher = size_settings(run.teacher.model, run.teacher.model)
        if not run.has_external_teacher:
            if run.is_pretrained:
                trainings["pretrain"] = CheckedTraining(model=teacher, training=run.teacher.pretrain.training.used())
            lora, training = TrainTeacherParams.from_run(run).lora, run.teacher.training.used()
            trainings["teacher"] = CheckedTraining(model=teacher, training=training, lora=lora)
        for name, variant in run.variants.items():
            checked = CheckedTraining(
                model=size_settings(variant.model, run.teacher.model),
                training=variant.training.used(),
                frozen_teacher=teacher if DistillStudentParams.from_run(run, name).keeps_teacher else None,
                learns_inputs=variant.loss.input_weight > 0,
            )
            if checked not in trainings.values():
                trainings[f"student {name}"] = checked
        return cls(
            trainings=trainings,
            logits_precision="fp32" if run.has_external_teacher or run.logits.device == "cpu" else run.logits.precision,
            max_input_len=run.data.max_input_len,
            max_output_len=run.data.max_output_len,
            vocab_size=run.tokenizer.vocab_size,
        )


def run_without_records(config: Mapping[str, Any], name: str) -> RunSettings:
    """Return a run of the config as if a file of records were named, which many runs get on the command line.

    Raises:
        UserError: there is no such run, or the config has other faults.
    """
    files = {run: {"data": {"train_file": "records.jsonl"}} for run in config.get("runs") or {}}
    return load_run(merged_over({"runs": files}, config) | {"run": name})
