"""What a training learns from: examples, the teacher's distributions for them, and what text components need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example, TeacherSource
from assertkd.models.distillable import DistillableModel
from assertkd.models.encoders import TextEncoder
from assertkd.settings.distillation import OnPolicySettings
from assertkd.training.hooks.validation import DecodedSample


@dataclass(frozen=True)
class OnPolicyTeacher:
    """The teacher that scores the student's own outputs, in evaluation mode, and how."""

    model: DistillableModel
    settings: OnPolicySettings


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is validated on.

    Attributes:
        train: the training examples of every epoch, or what draws them for each.
        validation: validation examples.
        teacher: the teacher's distributions for every training example, or None where the loss needs none.
        sample: validation examples to decode at each validation, or None.
        files: the files all this came from, for the report and the fingerprint.
        encoders: loss component to the encoder that it embeds with.
        max_new_tokens: longest sampled prediction, in tokens.
        on_policy: the teacher for the student's own outputs; None where all targets come from the examples.
    """

    train: Sequence[Example] | EpochSampler
    validation: Sequence[Example]
    teacher: TeacherSource | None
    sample: DecodedSample | None
    files: tuple[Path, ...]
    encoders: Mapping[str, TextEncoder] = field(default_factory=dict)
    max_new_tokens: int = 128
    on_policy: OnPolicyTeacher | None = None
