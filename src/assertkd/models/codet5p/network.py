"""The network of CodeT5+ 2B, 6B and 16B, with the names of weights of the published files.

Encoder and decoder are CodeGen's, except that all tokens of an input see each other, and that the decoder's last layer
also reads the encoded input. Source: Wang et al. 2023, CodeT5+, and the `modeling_codet5p.py` beside the published
weights.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Cache, GenerationMixin
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.models.codegen.modeling_codegen import (
    CodeGenAttention,
    CodeGenBlock,
    CodeGenModel,
    CodeGenPreTrainedModel,
    apply_rotary_pos_emb,
)
from transformers.utils import ModelOutput

from assertkd.models.codet5p.configuration import CodeT5pConfig, CodeT5pModuleConfig

PARTS = 4
"""CodeGen's projections were made for so many devices: each has a share of the heads, with all of their kinds."""


@dataclass
class Memory(ModelOutput):  # type: ignore[misc]
    """What the decoder reads of B encoded inputs.

    Attributes:
        keys: (B, H, S, w).
        values: (B, H, S, w).
        bias: (B, 1, 1, S), 0 at tokens and the lowest number at padding.
    """

    keys: Tensor = None  # type: ignore[assignment]
    values: Tensor = None  # type: ignore[assignment]
    bias: Tensor = None  # type: ignore[assignment]


class CrossAttention(CodeGenAttention):  # type: ignore[misc]
    """Attention to the encoded input, with positions as CodeGen's own attention has them, for queries and keys."""

    def __init__(self, config: CodeT5pModuleConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.qkv_proj = nn.Linear(self.embed_dim, 2 * self.embed_dim, bias=False)
        self.q_attn = nn.Linear(self.embed_dim, self.embed_dim, bias=False)

    def memory(self, encoded: Tensor, attention_mask: Tensor) -> Memory:
        """Return keys and values of inputs, (B, S, d), padded on the right."""
        parts = self.qkv_proj(encoded).view(*encoded.shape[:2], PARTS, 2, -1)
        values, keys = (self._by_head(part.flatten(2)) for part in parts.unbind(-2))
        bias = torch.zeros_like(attention_mask, dtype=torch.float32)
        bias.masked_fill_(attention_mask == 0, torch.finfo(torch.float32).min)
        positions = torch.arange(encoded.shape[1], device=encoded.device)[None]
        return Memory(keys=self._rotated(keys, positions), values=values.transpose(1, 2), bias=bias[:, None, None])

    def forward(self, normed: Tensor, positions: Tensor, memory: Memory) -> Tensor:
        """Return what tokens read, (B · K, T, d), those of K targets of each input one behind the other.

        Args:
            normed: (B · K, T, d).
            positions: (1, T).
            memory: of B inputs.
        """
        inputs = len(memory.keys)
        # The targets of an input are so many more queries to the same keys.
        queries = self._by_head(self.q_attn(normed).reshape(inputs, -1, self.embed_dim))
        queries = self._rotated(queries, positions.repeat(1, len(normed) // inputs))
        read, _ = self._attn(queries, memory.keys, memory.values, memory.bias)
        projected: Tensor = self.resid_dropout(self.out_proj(read.transpose(1, 2).flatten(2)))
        return projected.view_as(normed)

    def _by_head(self, projected: Tensor) -> Tensor:
        return projected.view(*projected.shape[:2], self.num_attention_heads, self.head_dim)

    def _rotated(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Return (B, L, H, w) as (B, H, L, w), the first `rotary_dim` numbers turned by positions (1, L)."""
        sines, cosines = self.embed_positions[positions].chunk(2, dim=-1)
        turned = apply_rotary_pos_emb(vectors[..., : self.rotary_dim], sines, cosines)
        return torch.cat([turned, vectors[..., self.rotary_dim :]], dim=-1).transpose(1, 2)


class LastBlock(CodeGenBlock):  # type: ignore[misc]
    """CodeGen's layer, in which the same normed tokens also read the encoded input; all that is read is added."""

    def __init__(self, config: CodeT5pModuleConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.crossattention = CrossAttention(config, layer)

    def forward(self, hidden: Tensor, memory: Memory, **options: Any) -> tuple[Tensor]:
        """Return the layer's output, (B · K, T, d), as the first of a tuple."""
        own: Tensor = super().forward(hidden, **options)[0]
        return (own + self.crossattention(self.ln_1(hidden), options["position_ids"], memory),)


class DecoderStack(CodeGenModel):  # type: ignore[misc]
    """CodeGen's layers, the last of which reads the encoded input."""

    def __init__(self, config: CodeT5pModuleConfig) -> None:
        super().__init__(config)
        self.h[-1] = LastBlock(config, config.n_layer - 1)

    def forward(
        self, input_ids: Tensor, memory: Memory, cache: Cache | None = None, output_hidden_states: bool = False
    ) -> BaseModelOutput:
        """Return the states of tokens (B · K, T), which follow those in the cache, on request after each layer."""
        hidden = self.drop(self.wte(input_ids))
        past = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(past, past + input_ids.shape[1], device=hidden.device)[None]
        mask = create_causal_mask(self.config, hidden, None, cache, positions)
        states = []
        for block in self.h:
            states.append(hidden)
            read = {"memory": memory} if block is self.h[-1] else {}
            hidden = block(hidden, **read, layer_past=cache, attention_mask=mask, position_ids=positions)[0]
        hidden = self.ln_f(hidden)
        return BaseModelOutput(hidden, hidden_states=(*states, hidden) if output_hidden_states else None)


class Decoder(nn.Module):
    """The layers and a head with a bias, which shares no weights with the embeddings."""

    def __init__(self, config: CodeT5pModuleConfig) -> None:
        super().__init__()
        self.transformer = DecoderStack(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size)


class CodeT5pEncoderDecoderModel(CodeGenPreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """The whole network; its name and those of its parts are in the published files."""

    config: CodeT5pConfig
    config_class = CodeT5pConfig
    base_model_prefix = "codet5p"
    # A constant that transformers stored with weights in 2023.
    _keys_to_ignore_on_load_unexpected = [r"\.causal_mask$"]  # noqa: RUF012

    def __init__(self, config: CodeT5pConfig) -> None:
        super().__init__(config)
        self.encoder = CodeGenModel(config.encoder)
        self.decoder = Decoder(config.decoder)
        if config.encoder.n_embd != config.decoder.n_embd:
            self.enc_to_dec_proj = nn.Linear(config.encoder.n_embd, config.decoder.n_embd)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the encoder's; the decoder has its own."""
        return cast(nn.Module, self.encoder.wte)

    def get_output_embeddings(self) -> nn.Linear:
        """Return the head."""
        return self.decoder.lm_head

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Memory:
        """Return what the decoder reads of inputs, (B, S)."""
        encoded = self.encoder(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
        if hasattr(self, "enc_to_dec_proj"):
            encoded = self.enc_to_dec_proj(encoded)
        memory: Memory = self.decoder.transformer.h[-1].crossattention.memory(encoded, attention_mask)
        return memory

    def forward(
        self, encoder_outputs: Memory, decoder_input_ids: Tensor, past_key_values: Any = None, **_: Any
    ) -> Seq2SeqLMOutput:
        """Return logits at all positions, as `generate` calls for them; `encoder_outputs` are those of `read`."""
        cache = None if past_key_values is None else past_key_values.self_attention_cache
        decoded = self.decoder.transformer(decoder_input_ids, encoder_outputs, cache)
        return Seq2SeqLMOutput(logits=self.decoder.lm_head(decoded.last_hidden_state), past_key_values=past_key_values)
