"""A decoder-only model that writes, one token at a time, with the keys and values of what it has read."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from assertkd.models.generation import DecodingSteps


class CausalSteps(DecodingSteps):
    """The next-token logits of several continuations of each of several inputs.

    An input is read once for all its continuations, then its keys and values are repeated for each.

    Args:
        network: in evaluation mode; to be used without gradient.
        head: hidden states (..., d) to logits (..., V).
        input_ids: (E, S), padded on the right.
        attention_mask: (E, S).
        sequences: K, how many are written for each input.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        head: Callable[[Tensor], Tensor],
        input_ids: Tensor,
        attention_mask: Tensor,
        sequences: int,
    ) -> None:
        self._network, self._head, self._sequences = network.base_model, head, sequences
        self._cache = DynamicCache(config=network.config)
        self._input_ids, self._mask = padded_left(input_ids, attention_mask)
        self._positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)

    def logits(self, latest: Tensor) -> Tensor:
        """Return the logits of the tokens that follow `latest`, (E, K, V); at first of those that follow the input."""
        is_first = self._cache.get_seq_length() == 0
        if not is_first:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
            self._positions = self._positions[:, -1:] + 1
        hidden = self._network(
            input_ids=self._input_ids if is_first else latest.view(-1, 1),
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        logits = self._head(hidden)
        if not is_first:
            return logits.view(*latest.shape, -1)
        if self._sequences > 1:
            self._cache.batch_repeat_interleave(self._sequences)
        self._mask = self._mask.repeat_interleave(self._sequences, dim=0)
        self._positions = self._positions.repeat_interleave(self._sequences, dim=0)
        return logits[:, None].expand(*latest.shape, -1)

    def keep(self, examples: Tensor, sequences: Tensor) -> None:
        """Go on with some of the inputs, and as many continuations of each."""
        rows = (examples[:, None] * self._sequences + sequences).flatten()
        self._sequences = sequences.shape[1]
        self._cache.batch_select_indices(rows)
        self._mask, self._positions = self._mask[rows], self._positions[rows]


def padded_left(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return inputs (B, S) that are padded on the right, and their mask, with the padding on the left."""
    width = input_ids.shape[1]
    columns = torch.arange(width, device=input_ids.device) + attention_mask.sum(dim=1, keepdim=True)
    return input_ids.gather(1, columns % width), attention_mask.gather(1, columns % width)
