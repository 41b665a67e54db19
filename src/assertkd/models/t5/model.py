"""T5-family models (T5, CodeT5, CodeT5+ up to 770M): an encoder reads the input, a decoder writes the target."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, T5Config, T5ForConditionalGeneration

from assertkd.models.distillable import IGNORED, DistillableModel, ModelShape, TargetOutputs
from assertkd.models.importance import check_width, cut, cut_units, entries_of, head_importance, most_important
from assertkd.models.network import check_layers, copied_network
from assertkd.models.t5.generation import DecoderSteps, scaled_for_head
from assertkd.settings.model import ScratchSettings

ATTENTION = re.compile(r"((encoder|decoder)\..+\.(SelfAttention|EncDecAttention))\.o\.weight")
FEED_FORWARD = re.compile(r"(.+\.DenseReluDense)\.wo\.weight")
LAYER = re.compile(r"(encoder|decoder)\.block\.(\d+)\.(.+)")
POSITIONS = "layer.0.SelfAttention.relative_attention_bias.weight"
"""T5 keeps a stack's position biases in its first layer, for all layers; whichever comes first has to have them."""

VOCABULARY = ("shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head")
"""Modules with a vector for each token, which may share their weights."""


class T5Model(DistillableModel):
    """A T5 network; see `DistillableModel`."""

    network: T5ForConditionalGeneration
    architecture = T5ForConditionalGeneration
    published: ClassVar[Mapping[str, PreTrainedConfig]] = {
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

    @classmethod
    def scratch_config(
        cls, sizes: ScratchSettings, vocab_size: int, pad_token_id: int = 0, end_token_id: int = 1
    ) -> T5Config:
        """Return the configuration of a model of these sizes, which starts its outputs with the padding token."""
        return T5Config(
            vocab_size=vocab_size,
            d_model=sizes.d_model,
            d_kv=sizes.d_model // sizes.heads,
            d_ff=sizes.d_ff,
            num_heads=sizes.heads,
            num_layers=sizes.encoder_layers,
            num_decoder_layers=sizes.decoder_layers,
            pad_token_id=pad_token_id,
            eos_token_id=end_token_id,
            decoder_start_token_id=pad_token_id,
            tie_word_embeddings=True,
        )

    @staticmethod
    def with_dropout(config: PreTrainedConfig, dropout: float) -> T5Config:
        """Return a copy of a configuration with this dropout rate."""
        own = copy.deepcopy(cast(T5Config, config))
        own.dropout_rate = dropout
        return own

    @staticmethod
    def shape_of(config: PreTrainedConfig) -> ModelShape:
        """Return the sizes that a configuration names."""
        t5 = cast(T5Config, config)
        return ModelShape(t5.vocab_size, t5.d_model, t5.num_heads, t5.num_layers, t5.num_decoder_layers)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        *,
        targets_per_input: int = 1,
        hidden_states: bool = False,
    ) -> TargetOutputs:
        """Return logits, and the decoder's hidden states on request, at the labels."""
        decoded, is_target = self._decode(input_ids, attention_mask, labels, targets_per_input, hidden_states)
        states = tuple(state[is_target] for state in decoded.hidden_states) if hidden_states else ()
        written = decoded.last_hidden_state[is_target]
        return TargetOutputs(self.network.lm_head(scaled_for_head(self.network, written)), states)

    def head_inputs(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Return the (N, d) vectors that enter the head, scaled as the network scales them."""
        decoded, is_target = self._decode(input_ids, attention_mask, labels, 1, False)
        return scaled_for_head(self.network, decoded.last_hidden_state[is_target])

    def decoding_steps(
        self, input_ids: Tensor, attention_mask: Tensor, sequences: int, max_new_tokens: int
    ) -> tuple[DecoderSteps, Tensor]:
        """Return the decoder's steps, and the start token of each sequence."""
        encoded = self.network.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        start = self.network.generation_config.decoder_start_token_id
        return (
            DecoderSteps(self.network, encoded, attention_mask, sequences, max_new_tokens),
            input_ids.new_full((len(input_ids), sequences), start),
        )

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the weights of encoder and decoder, which share the embeddings."""
        return {stack: list(getattr(self.network, stack).parameters()) for stack in ("encoder", "decoder")}

    def with_layers(self, layers: Mapping[str, Sequence[int]], dropout: float) -> Self:
        """Return a model of copies of these layers, which has this one's widths, heads and vocabulary.

        Source: Shleifer & Rush 2020, Pre-trained Summarization Distillation, section 3 (shrink and fine-tune).
        """
        config = self.with_dropout(self.network.config, dropout)
        check_layers(layers, {"encoder": config.num_layers, "decoder": config.num_decoder_layers})
        config.num_layers, config.num_decoder_layers = len(layers["encoder"]), len(layers["decoder"])

        def source(name: str) -> str:
            if match := LAYER.fullmatch(name):
                stack, layer, rest = match.groups()
                return f"{stack}.block.{0 if rest == POSITIONS else layers[stack][int(layer)]}.{rest}"
            return name

        weights = self.network.state_dict()
        return self._copy(config, lambda name: weights[source(name)])

    def narrowed(self, heads: int | None, feed_forward: int | None) -> Self:
        """Return a model of the most important heads and units; see `DistillableModel`.

        The layers of a stack share position biases for each head. So in the attention within a stack all layers keep
        the same heads: those that are most important over all of them.
        """
        config, weights = copy.deepcopy(self.network.config), self.network.state_dict()
        check_width(heads, config.num_heads, feed_forward, config.d_ff)
        if heads is not None:
            shared: dict[str, list[str]] = {}
            for match in filter(None, map(ATTENTION.fullmatch, weights)):
                # The decoder's attention to the input has no biases.
                shared.setdefault(match[2] if match[3] == "SelfAttention" else match[1], []).append(match[1])
            for attentions in shared.values():
                matrices = [(weights[f"{one}.v.weight"], weights[f"{one}.o.weight"]) for one in attentions]
                importance = [head_importance(*pair, config.num_heads, config.num_heads) for pair in matrices]
                kept = most_important(torch.stack(importance).sum(0), heads)
                for one in attentions:
                    cut(weights, [f"{one}.{part}" for part in "qkv"], entries_of(kept, config.d_kv), f"{one}.o.weight")
                    if (biases := f"{one}.relative_attention_bias.weight") in weights:
                        weights[biases] = weights[biases][:, kept]
        if feed_forward is not None:
            for match in filter(None, map(FEED_FORWARD.fullmatch, [*weights])):
                cut_units(weights, [f"{match[1]}.{part}" for part in ("wi", "wi_0", "wi_1")], match[0], feed_forward)
        config.num_heads, config.d_ff = heads or config.num_heads, feed_forward or config.d_ff
        return self._copy(config, weights.__getitem__)

    def _copy(self, config: T5Config, weight_of: Callable[[str], Tensor]) -> Self:
        """Return a model of this configuration with copies of the weights that a function has for their names."""
        network = copied_network(self.network, config, weight_of)
        # A new network has one weight for all of them, whatever its configuration says.
        copies: dict[int, nn.Parameter] = {}
        for name in VOCABULARY:
            weight = self.network.get_submodule(name).weight
            copy_of = copies.setdefault(id(weight), nn.Parameter(weight.detach().clone()))
            network.get_submodule(name).weight = copy_of
        return type(self)(network)

    def network_for_ctranslate2(self) -> T5ForConditionalGeneration:
        """Return the network; its configuration says whether it scales what enters the head."""
        network = copy.copy(self.network)
        network.config = copy.deepcopy(network.config)
        # The converter takes this for the sign of scaling, and copies the head's weights either way.
        network.config.tie_word_embeddings = bool(network.config.scale_decoder_outputs)
        return network

    def _decode(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, targets_per_input: int, hidden_states: bool
    ) -> tuple[Any, Tensor]:
        """Return the decoder's outputs at all positions, and which positions (B · K, T) are targets."""
        encoded = self.network.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if targets_per_input > 1:
            encoded = encoded.repeat_interleave(targets_per_input, dim=0)
            attention_mask = attention_mask.repeat_interleave(targets_per_input, dim=0)
        decoded = self.network.decoder(
            input_ids=self.network.prepare_decoder_input_ids_from_labels(labels),
            encoder_hidden_states=encoded,
            encoder_attention_mask=attention_mask,
            use_cache=False,
            output_hidden_states=hidden_states,
        )
        return decoded, labels != IGNORED
