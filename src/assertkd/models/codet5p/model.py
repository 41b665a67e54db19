"""CodeT5+ 2B, 6B and 16B: an encoder reads the input, a decoder writes the target, both of CodeGen layers."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.modeling_outputs import BaseModelOutput

from assertkd.errors import UserError
from assertkd.models.codet5p.configuration import CodeT5pConfig
from assertkd.models.codet5p.generation import CodeT5pSteps
from assertkd.models.codet5p.network import PARTS, CodeT5pEncoderDecoderModel
from assertkd.models.distillable import IGNORED, DistillableModel, ModelShape, TargetOutputs
from assertkd.models.network import check_layers, copied_network
from assertkd.settings.model import ScratchSettings

LAYER = re.compile(r"(encoder|decoder)\.(?:transformer\.)?h\.(\d+)\.(.+)")
STRUCTURE: Mapping[str, Mapping[str, object]] = {
    "encoder": {"is_decoder": False, "add_cross_attention": False},
    "decoder": {"is_decoder": True, "add_cross_attention": True, "cross_attention_hidden_size": None},
}
"""Keys that decide what is computed, with the values that are known here, those of Salesforce/codet5p-2b."""


def _config(vocab_size: int, encoder: dict[str, int], decoder: dict[str, int], **tokens: int) -> CodeT5pConfig:
    stacks = {"encoder": encoder, "decoder": decoder}
    own = {name: {**STRUCTURE[name], "vocab_size": vocab_size, **sizes} for name, sizes in stacks.items()}
    return CodeT5pConfig(**own, **tokens)


class CodeT5pModel(DistillableModel):
    """A CodeT5+ network of CodeGen layers; see `DistillableModel`.

    Its head adds a bias: for others the head has this as one more column, and what enters it ends with a 1.
    """

    network: CodeT5pEncoderDecoderModel
    architecture = CodeT5pEncoderDecoderModel
    published: ClassVar[Mapping[str, PreTrainedConfig]] = {
        "Salesforce/codet5p-2b": _config(
            51200,
            {"n_embd": 1024, "n_layer": 20, "n_head": 16, "rotary_dim": 32},
            {"n_embd": 2560, "n_layer": 32, "n_head": 32, "rotary_dim": 64},
        ),
    }

    @classmethod
    def check_config(cls, name: str | Path, config: PreTrainedConfig) -> None:
        """Refuse another structure than that of Salesforce/codet5p-2b."""
        faults = [f"{stack}.{fault}" for stack in STRUCTURE for fault in _faults(stack, getattr(config, stack))]
        if config.encoder.vocab_size != config.decoder.vocab_size:
            faults.append("encoder and decoder have different vocabularies")
        if faults:
            raise UserError(
                f"{name}: config.json: {'; '.join(faults)}, which CodeT5+ 2B does not have and is not computed here",
                "Use a model with the structure of Salesforce/codet5p-2b.",
            )

    @classmethod
    def scratch_config(
        cls, sizes: ScratchSettings, vocab_size: int, pad_token_id: int = 0, end_token_id: int = 1
    ) -> CodeT5pConfig:
        """Return the configuration of a model of these sizes, which starts its outputs with the padding token."""
        shared = {"n_embd": sizes.d_model, "n_inner": sizes.d_ff, "n_head": sizes.heads}
        shared["rotary_dim"] = sizes.d_model // sizes.heads // 2
        return _config(
            vocab_size,
            shared | {"n_layer": sizes.encoder_layers},
            shared | {"n_layer": sizes.decoder_layers},
            pad_token_id=pad_token_id,
            eos_token_id=end_token_id,
            decoder_start_token_id=pad_token_id,
        )

    @staticmethod
    def with_dropout(config: PreTrainedConfig, dropout: float) -> CodeT5pConfig:
        """Return a copy of a configuration with this dropout rate; the published models have none."""
        own = copy.deepcopy(cast(CodeT5pConfig, config))
        for stack in (own.encoder, own.decoder):
            stack.resid_pdrop = stack.embd_pdrop = stack.attn_pdrop = dropout
        return own

    @staticmethod
    def shape_of(config: PreTrainedConfig) -> ModelShape:
        """Return the sizes that a configuration names, the decoder's width and heads."""
        encoder, decoder = config.encoder, config.decoder
        return ModelShape(decoder.vocab_size, decoder.n_embd, decoder.n_head, encoder.n_layer, decoder.n_layer)

    @property
    def head_weight(self) -> Tensor:
        """The head, its bias as the last column, (V, d + 1), detached."""
        head = self.network.get_output_embeddings()
        return torch.cat([head.weight, head.bias[:, None]], dim=1).detach()

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
        decoded = self._decode(input_ids, attention_mask, labels, hidden_states)
        is_target = labels != IGNORED
        states = tuple(state[is_target] for state in decoded.hidden_states) if hidden_states else ()
        return TargetOutputs(self.network.decoder.lm_head(decoded.last_hidden_state[is_target]), states)

    def head_inputs(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Return the (N, d + 1) vectors that enter the head, each with a 1 at its end."""
        decoded = self._decode(input_ids, attention_mask, labels).last_hidden_state[labels != IGNORED]
        return torch.cat([decoded, torch.ones_like(decoded[:, :1])], dim=1)

    def decoding_steps(
        self, input_ids: Tensor, attention_mask: Tensor, sequences: int, max_new_tokens: int
    ) -> tuple[CodeT5pSteps, Tensor]:
        """Return the decoder's steps, and the start token of each sequence."""
        start = input_ids.new_full((len(input_ids), sequences), self._start_token_id)
        return CodeT5pSteps(self.network, self.network.read(input_ids, attention_mask)), start

    def beam_inputs(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Any]:
        """Return the inputs, encoded already."""
        encoded = {"encoder_outputs": self.network.read(input_ids, attention_mask)}
        return super().beam_inputs(input_ids, attention_mask) | encoded

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the weights of encoder and decoder; those between them are in neither."""
        return {stack: list(getattr(self.network, stack).parameters()) for stack in ("encoder", "decoder")}

    def with_layers(self, layers: Mapping[str, Sequence[int]], dropout: float) -> Self:
        """Return a model of copies of these layers; its last decoder layer has the attention to the encoder."""
        config = self.with_dropout(self.network.config, dropout)
        stacks, last = {"encoder": config.encoder, "decoder": config.decoder}, config.decoder.n_layer - 1
        check_layers(layers, {name: stack.n_layer for name, stack in stacks.items()})
        for name, stack in stacks.items():
            stack.n_layer = len(layers[name])
        weights = self.network.state_dict()

        def source(name: str) -> str:
            if match := LAYER.fullmatch(name):
                stack, layer, rest = match.groups()
                number = last if rest.startswith("crossattention.") else layers[stack][int(layer)]
                return f"{name[: match.start(2)]}{number}.{rest}"
            return name

        return type(self)(copied_network(self.network, config, lambda name: weights[source(name)]))

    def remember_length_limits(self, max_input: int, max_output: int) -> None:
        """Note the longest input and output.

        Raises:
            UserError: the model has not as many positions.
        """
        encoder, decoder = self.network.config.encoder.n_positions, self.network.config.decoder.n_positions
        for key, length, most in (("input", max_input, encoder), ("output", max_output, decoder)):
            if length > most:
                raise UserError(
                    f"data.max_{key}_len: {length}, the model has {most} positions", "Set a shorter length."
                )
        super().remember_length_limits(max_input, max_output)

    def network_for_ctranslate2(self) -> CodeT5pEncoderDecoderModel:
        """Return the network, which CTranslate2 cannot express: its converter says so."""
        return self.network

    @property
    def _start_token_id(self) -> int:
        return cast(int, self.network.config.decoder_start_token_id)

    def _decode(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, hidden_states: bool = False
    ) -> BaseModelOutput:
        """Return the decoder's outputs at all positions of the targets, (B · K, T)."""
        # What stands in place of padding is read by no target.
        shifted = labels.roll(1, dims=1).clamp(min=0)
        shifted[:, 0] = self._start_token_id
        memory = self.network.read(input_ids, attention_mask)
        decoded: BaseModelOutput = self.network.decoder.transformer(shifted, memory, None, hidden_states)
        return decoded


def _faults(stack: str, config: Any) -> Iterator[str]:
    for key, expected in STRUCTURE[stack].items():
        if (found := getattr(config, key, None)) != expected:
            yield f"{key} is {found}"
    if config.n_embd % config.n_head or config.n_head % PARTS:
        yield f"n_head is {config.n_head}, no multiple of {PARTS} that divides n_embd {config.n_embd}"
    elif config.rotary_dim not in range(2, config.n_embd // config.n_head + 1, 2):
        yield f"rotary_dim is {config.rotary_dim}, with {config.n_embd // config.n_head} numbers to a head"
