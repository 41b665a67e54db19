"""How much GPU memory training takes: an estimate from the model's sizes, before anything is loaded."""

from dataclasses import dataclass

from assertkd.errors import UserError
from assertkd.models.distillable import ModelShape
from assertkd.models.registry import shape_and_parameter_count
from assertkd.settings import ModelSettings, TrainingSettings

BYTES_PER_WEIGHT = 16
"""float32 weight, gradient, and AdamW's two moments."""
BYTES_PER_WEIGHT_AUTOCAST = 2
"""The half-precision copy of a weight that autocast keeps through a forward and backward pass."""
ACTIVATIONS_PER_LAYER = 34
"""Bytes in half precision for every token and unit of width that one layer keeps for its backward pass (Korthikanti et
al. 2022, section 4.1)."""
SCORES_PER_HEAD = 5
"""Bytes in half precision for every pair of tokens and head that an attention keeps (the same section)."""
LOGIT_COPIES = 4
"""Arrays of the size of the logits, in float32, that a loss with a teacher's distribution keeps."""
CUDA_CONTEXT = 1_000_000_000
"""Bytes that CUDA itself and its libraries take, about."""


@dataclass(frozen=True)
class TrainingMemory:
    """What training one model takes on each of its GPUs.

    Attributes:
        parameters: its number of weights.
        weights: bytes of weights, gradients and optimizer state.
        activations: bytes kept for the backward pass of one micro-batch, of full length.
    """

    parameters: int
    weights: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, CUDA's own share included, in bytes."""
        return self.weights + self.activations + CUDA_CONTEXT


def training_memory(
    model: ModelSettings, training: TrainingSettings, max_input_len: int, max_output_len: int, vocab_size: int
) -> TrainingMemory | None:
    """Return the estimate, or None where the sizes of a model of the hub are not known here.

    Lengths are in tokens; `vocab_size` counts for a model from scratch alone.
    """
    try:
        shape, parameters = shape_and_parameter_count(model, vocab_size, only_local=True)
    except UserError:
        return None
    autocast = 0 if training.precision == "fp32" else BYTES_PER_WEIGHT_AUTOCAST
    return TrainingMemory(
        parameters=parameters,
        weights=parameters * (BYTES_PER_WEIGHT + autocast),
        activations=_activations(shape, training, max_input_len, max_output_len),
    )


def _activations(shape: ModelShape, training: TrainingSettings, inputs: int, targets: int) -> int:
    batch, width, heads = training.batch_size, shape.width, shape.heads
    per_token = ACTIVATIONS_PER_LAYER * width
    encoder = shape.encoder_layers * batch * inputs * (per_token + SCORES_PER_HEAD * heads * inputs)
    # A decoder layer attends twice: to the targets and to the input.
    decoder = shape.decoder_layers * batch * targets * (per_token + SCORES_PER_HEAD * heads * (targets + inputs))
    precision = 2 if training.precision == "fp32" else 1
    logits = LOGIT_COPIES * 4 * batch * targets * shape.vocab_size
    return int(precision * (encoder + decoder) + logits)
