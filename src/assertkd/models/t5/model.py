"""T5-family models (T5, CodeT5, CodeT5+ up to 770M): an encoder reads the input, a decoder writes the target."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.models.distillable import IGNORED, DistillableModel, ModelShape, TargetOutputs
from assertkd.models.pretrained import load_network
from assertkd.models.t5 import generation
from assertkd.models.t5.teacher_layers import from_teacher_layers
from assertkd.settings.model import ScratchSettings


class T5Model(DistillableModel):
    """A T5 network; see `DistillableModel`."""

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

    def __init__(self, network: T5ForConditionalGeneration) -> None:
        super().__init__()
        self.network = network

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

    @classmethod
    def from_config(cls, config: PreTrainedConfig, dropout: float) -> Self:
        """Return a model with random weights."""
        return cls(T5ForConditionalGeneration(_with_dropout(config, dropout)))

    @classmethod
    def from_pretrained(cls, name: str | Path, config: PreTrainedConfig, dropout: float) -> Self:
        """Return the model of a hub name or folder."""
        return cls(load_network(T5ForConditionalGeneration, name, _with_dropout(config, dropout)))

    @staticmethod
    def shape_of(config: PreTrainedConfig) -> ModelShape:
        """Return the sizes that a configuration names."""
        t5 = cast(T5Config, config)
        return ModelShape(t5.vocab_size, t5.d_model, t5.num_heads, t5.num_layers, t5.num_decoder_layers)

    @property
    def vocab_size(self) -> int:
        """V."""
        return int(self.network.config.vocab_size)

    @property
    def hidden_size(self) -> int:
        """d."""
        return int(self.network.config.d_model)

    @property
    def pad_token_id(self) -> int:
        """The padding token."""
        return int(self.network.config.pad_token_id)

    @property
    def end_token_ids(self) -> Tensor:
        """The tokens that end an output."""
        return generation.end_tokens(self.network)

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
        return TargetOutputs(self.network.lm_head(self._scaled(decoded.last_hidden_state[is_target])), states)

    def head_inputs(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Return the (N, d) vectors that enter the head, scaled as the network scales them."""
        decoded, is_target = self._decode(input_ids, attention_mask, labels, 1, False)
        return self._scaled(decoded.last_hidden_state[is_target])

    @property
    def head_weight(self) -> Tensor:
        """The head, (V, d)."""
        return cast(Tensor, self.network.lm_head.weight.detach())

    def generate(self, input_ids: Tensor, attention_mask: Tensor, max_new_tokens: int, num_beams: int = 1) -> Tensor:
        """Return the outputs, (B, T)."""
        if num_beams == 1:
            return generation.greedy(self.network, input_ids, attention_mask, max_new_tokens)
        return generation.beam(self.network, input_ids, attention_mask, max_new_tokens, num_beams)

    def sample(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        samples: int,
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator,
    ) -> Tensor:
        """Return `samples` outputs for each input, (B, K, T)."""
        return generation.sample(
            self.network,
            input_ids,
            attention_mask,
            samples,
            max_new_tokens,
            temperature=temperature,
            generator=generator,
        )

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the weights of encoder and decoder, which share the embeddings."""
        return {
            "encoder": list(self.network.encoder.parameters()),
            "decoder": list(self.network.decoder.parameters()),
        }

    def weights(self) -> dict[str, nn.Parameter]:
        """Return every weight once, by the name that it has in the saved file."""
        return dict(self.network.named_parameters())

    def with_layers(self, layers: Mapping[str, Sequence[int]], dropout: float) -> Self:
        """Return a model of copies of these layers."""
        return type(self)(from_teacher_layers(self.network, layers["encoder"], layers["decoder"], dropout))

    def remember_length_limits(self, max_input: int, max_output: int) -> None:
        """Note the limits where `length_limits.limits_of` looks for them."""
        self.network.config.n_positions = max_input
        if self.network.generation_config is not None:
            self.network.generation_config.max_new_tokens = max_output

    def network_for_ctranslate2(self) -> T5ForConditionalGeneration:
        """Return the network; its configuration says whether it scales what enters the head."""
        network = copy.copy(self.network)
        network.config = copy.deepcopy(network.config)
        # The converter takes this for the sign of scaling, and copies the head's weights either way.
        network.config.tie_word_embeddings = bool(network.config.scale_decoder_outputs)
        return network

    def save(self, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
        """Write weights, configuration and tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        self.network.save_pretrained(str(folder), safe_serialization=True)
        tokenizer.save_pretrained(str(folder))

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

    def _scaled(self, hidden: Tensor) -> Tensor:
        if self.network.config.scale_decoder_outputs:
            hidden = hidden * self.network.config.d_model**-0.5
        return hidden


def _with_dropout(config: PreTrainedConfig, dropout: float) -> T5Config:
    own = copy.deepcopy(cast(T5Config, config))
    own.dropout_rate = dropout
    return own
