"""Options of the teacher, and of a student configuration."""

from typing import Literal

from pydantic import Field

from assertkd.settings.loss import LossSettings
from assertkd.settings.model import LoraSettings, StudentModelSettings, TeacherModelSettings
from assertkd.settings.section import PathText, Section, Seed
from assertkd.settings.training import TrainingSettings


class PretrainSettings(Section):
    """Training of the teacher's model on Java sources before the gold assertions: it fills in what was cut out of their
    methods. For models from scratch, which learn little from some thousand records."""

    java_sources: tuple[PathText, ...] = ()
    """Folders that hold Java projects; none for no such stage. Files with a test, a test class or a long focal method
    of the validation or test split are left out and, where the corpus is split by project, whole projects."""
    statements: int = Field(1, ge=0, le=20)
    """Statements that are cut out of every test beside its assertions, one a record."""
    production_share: float = Field(0.5, ge=0.0, lt=1.0)
    """Share of the records, 0 to below 1, that are cut out of production methods in place of tests, if there are as
    many: a run of tokens."""
    cut_share: float = Field(0.15, gt=0.0, le=0.5)
    """Share of a production method's tokens that is cut out, above 0 to 0.5; at most half of `data.max_output_len`
    lexical tokens."""
    validation_share: float = Field(0.01, gt=0.0, le=0.5)
    """Share of the records that the training is validated on, of files that are not trained on."""
    training: TrainingSettings = TrainingSettings()
    seed: Seed = 42
    """Seed of what is cut out, and of initial weights, batches and dropout."""


class TeacherSettings(Section):
    """The model that is fine-tuned on the gold assertions and then distilled."""

    model: TeacherModelSettings = TeacherModelSettings()
    pretrain: PretrainSettings = PretrainSettings()
    lora: LoraSettings = LoraSettings()
    training: TrainingSettings = TrainingSettings()
    seed: Seed = 42
    """Seed of the teacher's initial weights, batches and dropout."""


class OnPolicySettings(Section):
    """Learning from what the student writes itself, scored by the teacher, which is loaded for it (GKD, Agarwal et al.
    2024)."""

    fraction: float = Field(0.0, ge=0.0, le=1.0)
    """Share of the optimizer steps, 0 to 1, whose targets the student samples; their loss is the generalised
    Jensen-Shannon divergence from the teacher in place of the variant's own. 0 loads no teacher."""
    beta: float = Field(0.5, ge=0.0, le=1.0)
    """Weight of the teacher in the divergence's mixture, 0 to 1: 0.5 is the Jensen-Shannon divergence, 0 the forward KL
    (teacher from student), 1 the reverse."""
    temperature: float = Field(1.0, gt=0.0, le=100.0)
    """Temperature of both distributions in the divergence. Samples are drawn at 1."""


class DistillationSettings(Section):
    """One student configuration; `variants` holds what differs from these defaults."""

    model: StudentModelSettings = StudentModelSettings()
    training: TrainingSettings = TrainingSettings()
    loss: LossSettings = LossSettings()
    on_policy: OnPolicySettings = OnPolicySettings()
    targets: Literal["gold", "teacher", "both"] = "gold"
    """What is learnt of a record whose gold assertion the student may use: `gold`; the teacher's own prediction
    (`teacher`: sequence-level distillation, Kim & Rush 2016, section 3.2); or `both`, one example with each. A loss
    that reads the teacher's distributions reads those along the target at hand."""
    unlabelled: Literal["teacher", "skip"] = "teacher"
    """Records without a gold assertion that the student may use (withheld by `data.labelled_share`, or from
    `data.unlabelled`): learn the teacher's prediction, or skip them."""
