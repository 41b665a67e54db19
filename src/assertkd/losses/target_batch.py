"""What a token component sees of one forward pass."""

from dataclasses import dataclass

from torch import Tensor

from assertkd.batching.distributions import TeacherView


@dataclass(frozen=True, slots=True)
class TargetBatch:
    """The target positions of a batch, padding dropped, in batch order.

    Attributes:
        student_logits: (N, V), with gradient.
        labels: (N,) target token ids.
        teacher: the teacher's distributions at the same N positions, or None where no component needs them.
        temperature: distillation temperature, above 0.
        weights: (N,) token weights, or None where all are 1.
        hidden_states: (N, d) of each of the student's layers, embeddings first, with gradient; empty where no component
            needs them.
        features: (N, d of the teacher) of each of the student's layers that learn from one of the teacher's, through a
            projection, with gradient; empty where no component needs them.
        teacher_features: (N, d of the teacher) of the teacher's layers that these learn from.
    """

    student_logits: Tensor
    labels: Tensor
    teacher: TeacherView | None
    temperature: float
    weights: Tensor | None = None
    hidden_states: tuple[Tensor, ...] = ()
    features: tuple[Tensor, ...] = ()
    teacher_features: tuple[Tensor, ...] = ()
