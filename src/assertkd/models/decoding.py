"""What decoding has in common in every model family: padding, lengths of outputs, their texts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and afterwards back into the mode in which it came."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def pad_sequences(sequences: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return `sequences` padded on the right to the longest, and the mask of their tokens; both (B, S)."""
    longest = max(len(sequence) for sequence in sequences)
    input_ids = torch.tensor([[*sequence, *[pad] * (longest - len(sequence))] for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return input_ids, (torch.arange(longest) < lengths[:, None]).long()


def output_lengths(outputs: Tensor, end_token_ids: Tensor) -> Tensor:
    """Return how many tokens each output has, its end token included, shape (...).

    Args:
        outputs: (..., T) tokens as `DistillableModel.generate` and `sample` return them.
        end_token_ids: the tokens that end an output.
    """
    is_end = torch.isin(outputs, end_token_ids)
    first = is_end.int().argmax(dim=-1) + 1
    return torch.where(is_end.any(dim=-1), first, outputs.shape[-1])


def sample_texts(tokenizer: PreTrainedTokenizerFast, samples: Tensor) -> list[list[str]]:
    """Return the texts of `DistillableModel.sample`, K for each of B inputs, special tokens left out, stripped.

    Args:
        tokenizer: of the model that wrote them.
        samples: (B, K, T) tokens.
    """
    texts = tokenizer.batch_decode(samples.flatten(0, 1).tolist(), skip_special_tokens=True)
    count = samples.shape[1]
    return [[text.strip() for text in texts[first : first + count]] for first in range(0, len(texts), count)]
