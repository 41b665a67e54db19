"""What a training run is given: examples, the teacher's distributions for them, and what text components need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assertkd.batching.epoch_sampling import EpochSampler
from assertkd.batching.examples import Example, TeacherSource
from assertkd.models.encoders import TextEncoder
from assertkd.training.hooks.validation import DecodedSample
from assertkd.training.terms.on_policy_term import OnPolicy


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is watched on.

    Attributes:
        train: the training examples of every epoch, or what draws them for each.
        validation: validation examples.
        teacher: the teacher's distributions for every training example, or None where the loss needs none.
        sample: validation examples to decode at each validation, or None.
        files: the files all this came from, for the report.
        encoders: loss component to the encoder that it embeds with.
        max_new_tokens: longest sampled prediction, in tokens.
        on_policy: learns from the student's own outputs; None where all targets come from the examples.
    """

    train: Sequence[Example] | EpochSampler
    validation: Sequence[Example]
    teacher: TeacherSource | None
    sample: DecodedSample | None
    files: tuple[Path, ...]
    encoders: Mapping[str, TextEncoder] = field(default_factory=dict)
    max_new_tokens: int = 128
    on_policy: OnPolicy | None = None
