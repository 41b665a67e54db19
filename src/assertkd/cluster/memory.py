"""How much GPU memory training takes: an estimate from the model's sizes, before anything is loaded."""

from dataclasses import dataclass

import torch
from transformers import AutoConfig, T5Config, T5ForConditionalGeneration

from assertkd.models.t5.model import t5_sizes
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.settings.model import SCRATCH

BYTES_PER_WEIGHT = 16
"""float32 weight, gradient, and AdamW's two moments."""
BYTES_PER_WEIGHT_AUTOCAST = 2
"""The half-precision copy of a weight that autocast keeps through a forward and backward pass."""
ACTIVATIONS_PER_LAYER = 34
"""Bytes in half precision for every token and unit of width that one layer keeps for its backward pass (Korthikanti et
al. 2022, section 4.1; T5's layers are of the same make)."""
SCORES_PER_HEAD = 5
"""Bytes in half precision for every pair of tokens and head that an attention keeps (the same section)."""
LOGIT_COPIES = 4
"""Arrays of the size of the logits, in float32, that a loss with a teacher's distribution keeps."""
CUDA_CONTEXT = 1_000_000_000
"""Bytes that CUDA itself and its libraries take, about."""

PUBLISHED = {
    "Salesforce/codet5p-770m": T5Config(
        vocab_size=32100, d_model=1024, d_kv=64, d_ff=4096, num_layers=24, num_decoder_layers=24, num_heads=16
    ),
    "Salesforce/codet5p-220m": T5Config(
        vocab_size=32100, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_decoder_layers=12, num_heads=12
    ),
    "Salesforce/codet5-small": T5Config(
        vocab_size=32100, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_decoder_layers=6, num_heads=8
    ),
}
"""Sizes of the models of the shipped runs, so that they are known before anything is fetched."""


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

    Args:
        model: the model.
        training: batch size and precision.
        max_input_len: longest input, in tokens.
        max_output_len: longest target, in tokens.
        vocab_size: entries of the tokenizer, for a model from scratch.
    """
    config = _config(model, vocab_size)
    if config is None:
        return None
    parameters = count_parameters(config)
    autocast = 0 if training.precision == "fp32" else BYTES_PER_WEIGHT_AUTOCAST
    return TrainingMemory(
        parameters=parameters,
        weights=parameters * (BYTES_PER_WEIGHT + autocast),
        activations=_activations(config, training, max_input_len, max_output_len),
    )


def count_parameters(config: T5Config) -> int:
    """Return the number of weights of a model of these sizes; nothing of its size is built."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in T5ForConditionalGeneration(config).parameters())


def _config(model: ModelSettings, vocab_size: int) -> T5Config | None:
    if model.name == SCRATCH:
        return T5Config(vocab_size=vocab_size, **t5_sizes(model.scratch))
    if model.name in PUBLISHED:
        return PUBLISHED[model.name]
    try:
        config = AutoConfig.from_pretrained(model.name, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError):
        return None
    return config if isinstance(config, T5Config) else None


def _activations(config: T5Config, training: TrainingSettings, inputs: int, targets: int) -> int:
    batch, width, heads = training.batch_size, config.d_model, config.num_heads
    per_token = ACTIVATIONS_PER_LAYER * width
    encoder = config.num_layers * batch * inputs * (per_token + SCORES_PER_HEAD * heads * inputs)
    # A decoder layer attends twice: to the targets and to the input.
    decoder = config.num_decoder_layers * batch * targets * (per_token + SCORES_PER_HEAD * heads * (targets + inputs))
    precision = 2 if training.precision == "fp32" else 1
    logits = LOGIT_COPIES * 4 * batch * targets * config.vocab_size
    return int(precision * (encoder + decoder) + logits)
