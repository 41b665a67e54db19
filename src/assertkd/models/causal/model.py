"""Decoder-only models: one stack of layers reads the input and continues it with the target."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, PreTrainedConfig, PreTrainedModel, Qwen2Config

from assertkd.errors import UserError
from assertkd.models.causal.architectures import CAP, check_config, network_class
from assertkd.models.causal.generation import CausalSteps, padded_left
from assertkd.models.causal.narrowing import narrowed_weights
from assertkd.models.distillable import IGNORED, DistillableModel, ModelShape, TargetOutputs, capped
from assertkd.models.model_folder import FAILURE, INPUT_LENGTH
from assertkd.models.network import check_layers, copied_network
from assertkd.settings.model import ScratchSettings

DROPOUT = re.compile(r"(.*_)?(dropout|dropout_prob|dropout_rate|pdrop)")
"""Names of rates of dropout in configurations."""

COMPARED = 6
"""How many tokens, from all over the vocabulary, a loaded model is compared with transformers on."""

PER_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")
"""Options of a configuration that have a value for each layer."""


def _qwen_coder(
    width: int, feed_forward: int, layers: int, heads: int, *, key_heads: int = 2, vocab_size: int = 151936
) -> PreTrainedConfig:
    """Return the sizes of a Qwen2.5-Coder; those of fewer than 7 billion parameters tie head and embeddings."""
    return Qwen2Config(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        tie_word_embeddings=key_heads == 2,
    )


class CausalModel(DistillableModel):
    """A decoder-only network; see `DistillableModel`.

    A target's tokens follow the input's without a gap. K targets of an input are K rows, each with the input before
    it: a training step on them costs as much as one on K inputs.
    """

    has_encoder = False
    published: ClassVar[Mapping[str, PreTrainedConfig]] = {
        "Qwen/Qwen2.5-Coder-7B": _qwen_coder(3584, 18944, 28, 28, key_heads=4, vocab_size=152064),
        "Qwen/Qwen2.5-Coder-1.5B": _qwen_coder(1536, 8960, 28, 12),
        "Qwen/Qwen2.5-Coder-0.5B": _qwen_coder(896, 4864, 24, 14),
    }

    @classmethod
    def check_config(cls, name: str | Path, config: PreTrainedConfig) -> None:
        """Refuse what is no decoder-only model of attention layers and a plain head."""
        check_config(name, config)

    @classmethod
    def architecture_of(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """Return the class of the network that a configuration describes."""
        return network_class(config)

    @classmethod
    def scratch_config(
        cls, sizes: ScratchSettings, vocab_size: int, pad_token_id: int = 0, end_token_id: int = 1
    ) -> LlamaConfig:
        """Return the configuration of a Llama model of these sizes."""
        return LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=sizes.d_model,
            intermediate_size=sizes.d_ff,
            num_hidden_layers=sizes.decoder_layers,
            num_attention_heads=sizes.heads,
            # Positions are rotations, so that a longest one costs nothing.
            max_position_embeddings=1 << 17,
            pad_token_id=pad_token_id,
            bos_token_id=None,
            eos_token_id=end_token_id,
            tie_word_embeddings=True,
        )

    @staticmethod
    def with_dropout(config: PreTrainedConfig, dropout: float) -> PreTrainedConfig:
        """Return a copy of a configuration with this dropout rate; Llama, Qwen and Gemma drop out attention alone."""
        own = copy.deepcopy(config)
        for key, value in config.to_dict().items():
            if DROPOUT.fullmatch(key) and type(value) in (int, float):
                setattr(own, key, dropout)
        return own

    @classmethod
    def from_pretrained(cls, name: str | Path, config: PreTrainedConfig, dropout: float) -> Self:
        """Return the model of a hub name or folder, after a comparison with what transformers computes.

        Raises:
            UserError: the weights are missing or damaged, or the network does more behind its layers than is known.
        """
        model = super().from_pretrained(name, config, dropout)
        model.network.eval()
        # Not the padding token alone, whose embedding may be 0, and so all that is computed of it.
        tokens = torch.linspace(0, model.vocab_size - 1, COMPARED).long()[None]
        with torch.inference_mode():
            own = model._logits(model.network.base_model(input_ids=tokens, use_cache=False).last_hidden_state)
            theirs = model.network(input_ids=tokens, use_cache=False).logits
        if model.head_bias is not None or not torch.allclose(own, theirs, rtol=1e-4, atol=1e-4):
            raise UserError(
                f"{name}: {FAILURE} ({type(model.network).__name__} has more than a matrix between layers and logits)",
                "Use a decoder-only model as Qwen2.5-Coder, Llama, SmolLM2, StarCoder2 or Gemma.",
            )
        return model

    @staticmethod
    def shape_of(config: PreTrainedConfig) -> ModelShape:
        """Return the sizes that a configuration names."""
        return ModelShape(
            config.vocab_size, config.hidden_size, config.num_attention_heads, 0, config.num_hidden_layers
        )

    @property
    def logit_cap(self) -> float | None:
        """The cap of its configuration; Gemma 2 has one."""
        cap: float | None = getattr(self.network.config, CAP, None)
        return cap

    @property
    def head_bias(self) -> Tensor | None:
        """The head's bias, (V,), where it has one."""
        return cast(nn.Linear, self.network.get_output_embeddings()).bias

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        *,
        targets_per_input: int = 1,
        hidden_states: bool = False,
    ) -> TargetOutputs:
        """Return logits, and the hidden states on request, at the labels."""
        last, *states = self._read(input_ids, attention_mask, labels, targets_per_input, hidden_states)
        return TargetOutputs(self._logits(last), tuple(states))

    def head_inputs(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        """Return the (N, d) vectors that enter the head."""
        (last,) = self._read(input_ids, attention_mask, labels, 1, False)
        return last

    def decoding_steps(
        self, input_ids: Tensor, attention_mask: Tensor, sequences: int, max_new_tokens: int
    ) -> tuple[CausalSteps, Tensor]:
        """Return the steps, and in place of start tokens, which there are none of, the padding token."""
        return (
            CausalSteps(self.network, self._logits, input_ids, attention_mask, sequences),
            input_ids.new_full((len(input_ids), sequences), self.pad_token_id),
        )

    def beam_inputs(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Any]:
        """Return the inputs with the padding on the left, so that outputs continue them."""
        return super().beam_inputs(*padded_left(input_ids, attention_mask))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return all weights, as those of the decoder."""
        return {"decoder": list(self.network.parameters())}

    def with_layers(self, layers: Mapping[str, Sequence[int]], dropout: float) -> Self:
        """Return a model of copies of these layers; those of the encoder have to be the same, since there is none."""
        chosen, config = layers["decoder"], self.with_dropout(self.network.config, dropout)
        meaningless = ["the teacher has no encoder, so that teacher_decoder_layers has no meaning"]
        others = meaningless if [*layers["encoder"]] != [*chosen] else []
        check_layers({"decoder": chosen}, {"decoder": config.num_hidden_layers}, others)
        for key in PER_LAYER:
            if (values := getattr(config, key, None)) is not None:
                setattr(config, key, [values[layer] for layer in chosen])
        stack = self._stack_name(config.num_hidden_layers)
        config.num_hidden_layers = len(chosen)
        weights, numbered = self.network.state_dict(), re.compile(re.escape(stack) + r"\.(\d+)\.(.+)")

        def source(name: str) -> str:
            match = numbered.fullmatch(name)
            return f"{stack}.{chosen[int(match[1])]}.{match[2]}" if match else name

        try:
            return self._copy(config, lambda name: weights[source(name)])
        except KeyError as missing:
            raise UserError(
                f"model.teacher_layers: {[*chosen]} puts layers in the places of another kind of layers, as with "
                f"experts and without ({missing} is missing)",
                "Choose layers whose kinds alternate as they do in the teacher.",
            ) from None

    def narrowed(self, heads: int | None, feed_forward: int | None) -> Self:
        """Return a model of the most important heads and units; see `DistillableModel`."""
        found = narrowed_weights(self.network, heads, feed_forward)
        if found is None:
            return super().narrowed(heads, feed_forward)
        config, weights = found
        return self._copy(config, weights.__getitem__)

    def _copy(self, config: PreTrainedConfig, weight_of: Callable[[str], Tensor]) -> Self:
        """Return a model of this configuration with copies of the weights that a function has for their names."""
        network = copied_network(self.network, config, weight_of)
        network.generation_config = copy.deepcopy(self.network.generation_config)
        return type(self)(network)

    def remember_length_limits(self, max_input: int, max_output: int) -> None:
        """Note the longest input and output; `n_positions` is in some families the number of vectors of positions.

        Raises:
            UserError: together they are longer than the model has positions.
        """
        positions = getattr(self.network.config, "max_position_embeddings", None)
        if positions is not None and max_input + max_output > positions:
            raise UserError(
                f"data.max_input_len + data.max_output_len: {max_input + max_output}, and the model has {positions} "
                "positions for both",
                "Set shorter lengths, or use another model.",
            )
        setattr(self.network.config, INPUT_LENGTH, max_input)
        self.network.generation_config.max_new_tokens = max_output

    def network_for_ctranslate2(self) -> PreTrainedModel:
        """Return the network."""
        config = self.network.config
        heads, size = config.num_attention_heads, getattr(config, "head_dim", None)
        # Of these, its converter takes the size of a head for the width over the number of heads.
        if config.model_type in ("llama", "mistral", "qwen2") and size and heads * size != config.hidden_size:
            raise UserError(
                f"CTranslate2 cannot express a {config.model_type} whose {heads} heads of {size} are not as wide as "
                f"its hidden states, {config.hidden_size}",
                "Use the model as it is, or a student with all heads (without model.teacher_heads).",
            )
        if caps := [key for key in (CAP, "attn_logit_softcapping") if getattr(config, key, None) is not None]:
            raise UserError(
                f"CTranslate2 cannot express the caps of a {config.model_type} ({', '.join(caps)})",
                "Use the model as it is.",
            )
        return self.network

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.network.get_output_embeddings()(hidden)
        return capped(logits, self.logit_cap)

    def _read(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, targets_per_input: int, hidden_states: bool
    ) -> list[Tensor]:
        """Return, at the N places before a target token, what enters the head, then each layer's states on request."""
        if targets_per_input > 1:
            input_ids = input_ids.repeat_interleave(targets_per_input, dim=0)
            attention_mask = attention_mask.repeat_interleave(targets_per_input, dim=0)
        lengths, (count, targets) = attention_mask.sum(dim=1), labels.shape
        padding = input_ids.new_full((count, targets - 1), self.pad_token_id)
        rows = torch.cat([input_ids, padding], dim=1)
        places = lengths[:, None] + torch.arange(targets - 1, device=rows.device)
        # A target's last token is only predicted. What stands in place of padding is read by no token of the row.
        rows = rows.scatter(1, places, labels[:, :-1].clamp(min=0))
        # All padding is on the right, where the causal mask hides it: no other mask is needed, and positions count on.
        outputs: Any = self.network.base_model(input_ids=rows, use_cache=False, output_hidden_states=hidden_states)
        row, column = (labels != IGNORED).nonzero(as_tuple=True)
        place = lengths[row] + column - 1
        states = outputs.hidden_states if hidden_states else ()
        return [state[row, place] for state in (outputs.last_hidden_state, *states)]

    def _stack_name(self, layers: int) -> str:
        modules: dict[str, nn.Module] = dict(self.network.named_modules())
        return next(name for name, one in modules.items() if isinstance(one, nn.ModuleList) and len(one) == layers)
