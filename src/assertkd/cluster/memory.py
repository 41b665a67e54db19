"""How much memory training takes: an estimate from the model's sizes, before anything is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from assertkd.cluster.params import CheckCudaParams, CheckedTraining
from assertkd.errors import UserError
from assertkd.models.distillable import ModelShape
from assertkd.models.registry import adapter_parameter_count, shape_and_parameter_count
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.settings.model import LoraSettings

BYTES_PER_WEIGHT = 16
"""float32 weight, gradient, and AdamW's two moments."""
BYTES_PER_WEIGHT_FROZEN = 4
"""A float32 weight that is not trained: beside adapters, or of a teacher beside its student."""
BYTES_PER_WEIGHT_AUTOCAST = 2
"""The half-precision copy of a weight that is kept through a forward and backward pass: of every weight that a gradient
passes through, trained or not, but not of a teacher beside its student (autocast caches what is trained alone)."""
ACTIVATIONS_PER_LAYER = 34
"""Bytes in half precision for every token and unit of width that one layer keeps for its backward pass (Korthikanti et
al. 2022, section 4.1)."""
SCORES_PER_HEAD = 5
"""Bytes in half precision for every pair of tokens and head that an attention keeps (the same section)."""
LOGIT_COPIES = 4
"""Arrays of the size of the logits, in float32, that a loss with a teacher's distribution keeps."""
CUDA_CONTEXT = 1_000_000_000
"""Bytes that CUDA itself and its libraries take, about."""
CPU_PROCESS = 700_000_000
"""Bytes of a process on the CPU beside its model: Python, torch, records and an encoder, as the demo's take them."""
BYTES_PER_WEIGHT_SAVED, CHECKPOINTS = 12, 2
"""A checkpoint has a weight and AdamW's two moments in float32; two checkpoints are kept while a model is trained."""
USABLE = 0.9
"""Share of a GPU's memory that an estimate may fill: blocks that are freed are not the size of those asked for next."""
GPU_SIZES = (8, 12, 16, 24, 32, 40, 80)
"""Memory of usual GPUs, in GB."""


@dataclass(frozen=True)
class TrainingMemory:
    """What training one model takes on each of its GPUs.

    Attributes:
        shape: its sizes.
        parameters: its number of weights.
        trained: those that training changes: all, or its adapters'.
        weights: bytes of weights, gradients and optimizer state, and of the teacher beside it.
        activations: bytes kept for the backward pass of one micro-batch, of full length.
    """

    shape: ModelShape
    parameters: int
    trained: int
    weights: int
    activations: int

    @property
    def total(self) -> int:
        """All of it on a GPU, CUDA's own share included, in bytes."""
        return self.weights + self.activations + CUDA_CONTEXT

    @property
    def on_cpu(self) -> int:
        """All of it in main memory, where the CPU trains, in bytes."""
        return self.weights + self.activations + CPU_PROCESS

    @property
    def checkpoints(self) -> int:
        """Bytes on disk while it is trained."""
        return CHECKPOINTS * BYTES_PER_WEIGHT_SAVED * self.trained


def training_memory(
    model: ModelSettings,
    training: TrainingSettings,
    max_input_len: int,
    max_output_len: int,
    vocab_size: int,
    adapters: LoraSettings | None = None,
    frozen_teacher: ModelSettings | None = None,
    learns_inputs: bool = False,
) -> TrainingMemory | None:
    """Return the estimate, or None where the sizes of a model of the hub are not known here.

    Lengths are in tokens; `vocab_size` counts for a model from scratch alone. Of a teacher that runs beside the student
    the weights count, since its forward pass keeps nothing but its outputs. With `learns_inputs` there are logits
    of the input's tokens too.
    """
    try:
        shape, parameters = shape_and_parameter_count(model, vocab_size, only_local=True)
        trained, frozen, beside = parameters, 0, 0
        if adapters is not None and adapters.rank:
            trained = adapter_parameter_count(model, vocab_size, adapters, only_local=True)
            frozen = parameters
        if frozen_teacher is not None:
            _, beside = shape_and_parameter_count(frozen_teacher, vocab_size, only_local=True)
    except UserError:
        return None
    autocast = 0 if training.precision == "fp32" else BYTES_PER_WEIGHT_AUTOCAST
    return TrainingMemory(
        shape=shape,
        parameters=parameters,
        trained=trained,
        weights=trained * BYTES_PER_WEIGHT
        + (frozen + beside) * BYTES_PER_WEIGHT_FROZEN
        + (trained + frozen) * autocast,
        activations=_activations(shape, training, max_input_len, max_output_len, learns_inputs),
    )


def memory_of(each: CheckedTraining, sizes: tuple[int, int, int]) -> TrainingMemory | None:
    """Return the estimate of a training of a run; `sizes` are its lengths and vocabulary, as in `training_memory`."""
    return training_memory(each.model, each.training, *sizes, each.lora, each.frozen_teacher, each.learns_inputs)


def format_estimates(params: CheckCudaParams) -> Iterator[str]:
    """Yield, for each training of a run, what it takes, and a table of batch sizes for GPUs of several sizes."""
    sizes = params.max_input_len, params.max_output_len, params.vocab_size
    for name, each in params.trainings.items():
        memory = memory_of(each, sizes)
        if memory is None:
            yield f"{name} ({each.model.name}): its sizes are not known here; run prefetch_models first\n"
            continue
        training = each.training
        batch, steps = training.batch_size, training.gradient_accumulation_steps
        beside = "" if each.frozen_teacher is None else f", beside the teacher ({each.frozen_teacher.name})"
        yield (
            f"{name} ({each.model.name}, {memory.parameters / 1e6:.4g}M parameters), {training.precision}, inputs of "
            f"{params.max_input_len} and targets of {params.max_output_len} tokens, batch_size {batch}{beside}: about "
            f"{memory.total / 1e9:.1f} GB of a GPU, or {memory.on_cpu / 1e9:.1f} GB of main memory on a CPU; "
            f"{memory.checkpoints / 1e9:.1f} GB of disk for checkpoints, then {4 * memory.parameters / 1e9:.1f} GB"
        )
        yield ""
        yield "| GPU | batch_size | gradient_accumulation_steps | effective batch | estimate |"
        yield "| --- | --- | --- | --- | --- |"
        for size in GPU_SIZES:
            fitting = largest_batch(each, sizes, batch * steps, round(USABLE * size * 1e9))
            if fitting is None:
                yield f"| {size} GB | does not fit | | | |"
                continue
            fits, total = fitting
            yield f"| {size} GB | {fits} | {batch * steps // fits} | {batch * steps} | {total / 1e9:.1f} GB |"
        yield ""


def largest_batch(
    each: CheckedTraining, sizes: tuple[int, int, int], effective: int, limit: int
) -> tuple[int, int] | None:
    """Return the largest batch size that divides `effective` and takes at most `limit` bytes, and what it takes.

    None where not even a batch of one fits, or the model's sizes are not known.
    """
    configured = memory_of(each, sizes)
    if configured is None:
        return None
    for batch_size in range(effective, 0, -1):
        if effective % batch_size == 0:
            training = each.training.model_copy(update={"batch_size": batch_size})
            # Of a batch's size nothing else depends.
            activations = _activations(configured.shape, training, *sizes[:2], each.learns_inputs)
            memory = replace(configured, activations=activations)
            if memory.total <= limit:
                return batch_size, memory.total
    return None


def _activations(shape: ModelShape, training: TrainingSettings, inputs: int, targets: int, learns_inputs: bool) -> int:
    batch, width, heads = training.batch_size, shape.width, shape.heads
    per_token = ACTIVATIONS_PER_LAYER * width
    encoder = shape.encoder_layers * batch * inputs * (per_token + SCORES_PER_HEAD * heads * inputs)
    # A decoder layer attends twice, to the targets and to the input; without an encoder it reads the input as well.
    written = targets if shape.encoder_layers else inputs + targets
    decoder = shape.decoder_layers * batch * written * (per_token + SCORES_PER_HEAD * heads * (targets + inputs))
    precision = 2 if training.precision == "fp32" else 1
    predicted = targets + inputs if learns_inputs else targets
    logits = LOGIT_COPIES * 4 * batch * predicted * shape.vocab_size
    return int(precision * (encoder + decoder) + logits)
