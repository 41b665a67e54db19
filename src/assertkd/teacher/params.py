"""What `pretrain` and `train_teacher` use of a run's settings."""

from typing import Self

from pydantic import Field

from assertkd.settings import RunSettings, TeacherModelSettings, TrainingSettings
from assertkd.settings.model import LoraSettings
from assertkd.settings.section import Section, Seed


class TrainTeacherParams(Section):
    """Model, training and seed of the teacher, and the lengths of what it reads and writes."""

    model: TeacherModelSettings
    """What the training begins with, unless it begins with a pre-trained model of the run."""
    lora: LoraSettings = Field(LoraSettings(), exclude_if=lambda lora: lora == LoraSettings())
    """Its adapters; no parameter at all where all weights are trained."""
    training: TrainingSettings
    seed: Seed
    max_input_len: int
    max_output_len: int
    validation_encoder: str | None = Field(None, exclude_if=lambda encoder: encoder is None)
    """The encoder of decoded validation samples; null, and no parameter at all, where none are decoded."""

    @classmethod
    def from_run(cls, run: RunSettings) -> Self:
        """Return the params of a run; options without effect have their defaults."""
        return cls._of(run, run.teacher.training, run.teacher.seed, run.teacher.lora)

    @classmethod
    def _of(cls, run: RunSettings, training: TrainingSettings, seed: int, lora: LoraSettings) -> Self:
        return cls(
            model=run.teacher.model.used(),
            lora=lora if lora.rank else LoraSettings(),
            training=training.used(),
            seed=seed,
            max_input_len=run.data.max_input_len,
            max_output_len=run.data.max_output_len,
            validation_encoder=run.evaluation.encoder if training.enhanced_metrics else None,
        )


class PretrainParams(TrainTeacherParams):
    """The same of the pre-training, which trains all weights."""

    @classmethod
    def from_run(cls, run: RunSettings) -> Self:
        """Return the params of a run; options without effect have their defaults."""
        return cls._of(run, run.teacher.pretrain.training, run.teacher.pretrain.seed, LoraSettings())
