"""The decoder of a T5 model, one token at a time."""

import torch
from torch import Tensor
from transformers import T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5LayerCrossAttention, T5LayerSelfAttention

from assertkd.models.generation import DecodingSteps


class DecoderSteps(DecodingSteps):
    """The next-token logits of several sequences for each of several encoded inputs, step after step.

    The same numbers as the model's own decoder with a cache, faster: the sequences of an example share the keys and
    values of its input, no mask or bias is built at a step, and the cache is written in place. To be used without
    gradient, with the model in evaluation mode.

    Args:
        model: its decoder and output head are run.
        encoded: (E, S, d) encoder states of E examples.
        attention_mask: (E, S), 1 for tokens and 0 for padding.
        sequences: K, how many are written for each example.
        max_steps: the most calls of `logits` to come.
    """

    def __init__(
        self, model: T5ForConditionalGeneration, encoded: Tensor, attention_mask: Tensor, sequences: int, max_steps: int
    ) -> None:
        self._model = model
        self._blocks = model.decoder.block
        self._input_bias = torch.zeros_like(attention_mask, dtype=encoded.dtype)[:, None, None, :]
        self._input_bias.masked_fill_(attention_mask[:, None, None, :] == 0, torch.finfo(encoded.dtype).min)
        self._written_bias = self._blocks[0].layer[0].SelfAttention.compute_bias(max_steps, max_steps)
        self._heads = model.config.num_heads
        self._inputs: list[tuple[Tensor, Tensor]] = []
        self._written: list[tuple[Tensor, Tensor]] = []
        for block in self._blocks:
            attention = block.layer[1].EncDecAttention
            keys, values = self._by_head(attention.k(encoded)), self._by_head(attention.v(encoded))
            self._inputs.append((keys.contiguous(), values.contiguous()))
            shape = (len(encoded) * sequences, self._heads, max_steps, keys.shape[-1])
            self._written.append((keys.new_empty(shape), keys.new_empty(shape)))
        self._step = 0

    def logits(self, latest: Tensor) -> Tensor:
        """Return the logits of the tokens that follow `latest`, shape (E, K, V)."""
        hidden = self._model.decoder.embed_tokens(latest)
        for block, inputs, written in zip(self._blocks, self._inputs, self._written, strict=True):
            hidden = hidden + self._read_written(block.layer[0], hidden, *written)
            hidden = hidden + self._read_inputs(block.layer[1], hidden, *inputs)
            hidden = block.layer[2](hidden)
        self._step += 1
        hidden = self._model.decoder.final_layer_norm(hidden)
        logits: Tensor = self._model.lm_head(scaled_for_head(self._model, hidden))
        return logits

    def keep(self, examples: Tensor, sequences: Tensor) -> None:
        """Go on with some of the examples, and as many sequences of each."""
        before = self._written[0][0].shape[0] // self._input_bias.shape[0]
        rows = (examples[:, None] * before + sequences).flatten()
        self._input_bias = self._input_bias[examples]
        self._inputs = [(keys[examples], values[examples]) for keys, values in self._inputs]
        self._written = [(keys[rows], values[rows]) for keys, values in self._written]

    def _read_written(self, layer: T5LayerSelfAttention, hidden: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        attention, normed = layer.SelfAttention, layer.layer_norm(hidden)
        # A sequence reads only its own past, so each is a row of its own, with one query.
        alone = (-1, 1, hidden.shape[-1])
        now, end = self._step, self._step + 1
        normed = normed.view(alone)
        keys[:, :, now:end] = self._by_head(attention.k(normed))
        values[:, :, now:end] = self._by_head(attention.v(normed))
        bias = self._written_bias[:, :, now:end, :end]
        read = _attend(self._by_head(attention.q(normed)), keys[:, :, :end], values[:, :, :end], bias)
        projected: Tensor = attention.o(read).view(hidden.shape)
        return projected

    def _read_inputs(self, layer: T5LayerCrossAttention, hidden: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        attention, normed = layer.EncDecAttention, layer.layer_norm(hidden)
        # The sequences of an example are K queries to the same keys.
        read = _attend(self._by_head(attention.q(normed)), keys, values, self._input_bias)
        projected: Tensor = attention.o(read)
        return projected

    def _by_head(self, projected: Tensor) -> Tensor:
        """Return (B, L, H·w) as (B, H, L, w)."""
        return projected.view(*projected.shape[:-1], self._heads, -1).transpose(1, 2)


def _attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Return attention without scaling, as T5 has it: (B, H, L, w) queries give (B, L, H·w)."""
    # Plain products: with one query a row they are as fast as the fused kernel, which also wants its bias aligned.
    weights = torch.softmax(query @ keys.transpose(2, 3) + bias, dim=-1)
    return (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2)


def scaled_for_head(model: T5ForConditionalGeneration, hidden: Tensor) -> Tensor:
    """Return decoder states, (..., d), as the model scales them before its head, if it does."""
    return hidden * model.config.d_model**-0.5 if model.config.scale_decoder_outputs else hidden
