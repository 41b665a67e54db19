"""What `pretrain` and `train_teacher` use of a run's settings."""

from pydantic import Field

from assertkd.settings import RunSettings, TeacherModelSettings, TrainingSettings
from assertkd.settings.model import LoraSettings
from assertkd.settings.section import Section, Seed


class PretrainParams(Section):
    """Model, training and seed of the pre-training, and the lengths of what the model reads and writes."""

    model: TeacherModelSettings
    training: TrainingSettings
    seed: Seed
    max_input_len: int
    max_output_len: int
    validation_encoder: str | None = Field(None, exclude_if=lambda encoder: encoder is None)
    """As the teacher's."""

    @classmethod
    def from_run(cls, run: RunSettings) -> "PretrainParams":
        """Return the params of a run; options without effect have their defaults."""
        settings = run.teacher.pretrain
        return cls(
            model=run.teacher.model.used(),
            training=settings.training.used(),
            seed=settings.seed,
            max_input_len=run.data.max_input_len,
            max_output_len=run.data.max_output_len,
            validation_encoder=run.evaluation.encoder if settings.training.enhanced_metrics else None,
        )


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
    def from_run(cls, run: RunSettings) -> "TrainTeacherParams":
        """Return the params of a run; options without effect have their defaults."""
        return cls(
            model=run.teacher.model.used(),
            lora=run.teacher.lora if run.teacher.lora.rank else LoraSettings(),
            training=run.teacher.training.used(),
            seed=run.teacher.seed,
            max_input_len=run.data.max_input_len,
            max_output_len=run.data.max_output_len,
            validation_encoder=run.evaluation.encoder if run.teacher.training.enhanced_metrics else None,
        )
