"""T5-family models (T5, CodeT5, CodeT5+ up to 770M): an encoder reads the input, a decoder writes the target."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.distillable import IGNORED, DistillableModel, ModelShape, TargetOutputs
from assertkd.models.hub import remedy_for_missing
from assertkd.models.pretrained import load_network
from assertkd.models.t5 import generation
from assertkd.models.t5.teacher_layers import from_teacher_layers
from assertkd.settings import ModelSettings
from assertkd.settings.model import SCRATCH, ScratchSettings


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


# Until their callers are converted.
def build_model(
    settings: ModelSettings, tokenizer: PreTrainedTokenizerFast, dropout: float
) -> T5ForConditionalGeneration:
    """Return the model that `settings` names, ready to train with `tokenizer`.

    Random weights come from torch's global generator, so seed it first.

    Args:
        settings: a hub name, a folder or sizes.
        tokenizer: the run's tokenizer; its ids must fit the model's vocabulary.
        dropout: dropout rate of every layer while training.

    Raises:
        UserError: the model is missing, is not of the T5 family, or its vocabulary is smaller than the tokenizer's.
    """
    if settings.name == SCRATCH:
        return T5ForConditionalGeneration(scratch_config(settings.scratch, tokenizer, dropout))
    model = load_model(settings.name, dropout)
    if model.config.vocab_size < len(tokenizer):
        raise UserError(
            f"{settings.name}: has {model.config.vocab_size} vocabulary entries, the tokenizer has {len(tokenizer)}",
            "Give the run a tokenizer that fits (tokenizer.name), or another model.",
        )
    return model


def scratch_config(sizes: ScratchSettings, tokenizer: PreTrainedTokenizerFast, dropout: float) -> T5Config:
    """Return the T5 configuration of `sizes`, its vocabulary and special tokens the tokenizer's."""
    return T5Config(
        vocab_size=len(tokenizer),
        **t5_sizes(sizes),
        dropout_rate=dropout,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )


def t5_sizes(sizes: ScratchSettings) -> dict[str, int]:
    """Return `sizes` as T5Config's keyword arguments."""
    return {
        "d_model": sizes.d_model,
        "d_kv": sizes.d_model // sizes.heads,
        "d_ff": sizes.d_ff,
        "num_heads": sizes.heads,
        "num_layers": sizes.encoder_layers,
        "num_decoder_layers": sizes.decoder_layers,
    }


def load_model(name: str | Path, dropout: float = 0.0) -> T5ForConditionalGeneration:
    """Return the model of a hub name or folder, in float32.

    Raises:
        UserError: there is none, or it is not a T5 model.
    """
    remedy = remedy_for_missing()
    try:
        config = AutoConfig.from_pretrained(str(name), trust_remote_code=False)
    except (OSError, ValueError, KeyError) as fault:
        raise UserError(f"{name}: no model could be loaded ({str(fault).splitlines()[0]})", remedy) from fault
    if config.model_type != "t5":
        raise UserError(
            f"{name}: is a {config.model_type!r} model, not of the T5 family",
            "Use T5, CodeT5 or CodeT5+ (220M or 770M); larger CodeT5+ models bring their own code, which is not run.",
        )
    config.dropout_rate = dropout
    try:
        model, loading = T5ForConditionalGeneration.from_pretrained(
            str(name), config=config, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise UserError(f"{name}: the weights could not be loaded ({str(fault).splitlines()[0]})", remedy) from fault
    if loading["missing_keys"]:
        # transformers would fill them with random numbers and go on.
        missing = sorted(loading["missing_keys"])
        raise UserError(
            f"{name}: the weights could not be loaded ({len(missing)} are missing, as {missing[0]})", remedy
        )
    return cast(T5ForConditionalGeneration, model)


def save_model(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights (safetensors), configuration and tokenizer to `folder`, in the transformers form."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder), safe_serialization=True)
    tokenizer.save_pretrained(str(folder))


def weights_file(folder: Path) -> Path:
    """Return the file in a trained model's folder that changes with its weights: them, or the index of their parts.

    Raises:
        UserError: the folder holds none.
    """
    for name in ("model.safetensors", "model.safetensors.index.json"):
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder}: holds no model.safetensors", "Rerun `train_teacher`.")


def parameter_count(model: nn.Module) -> int:
    """Return the number of weights, shared ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


class TargetLogits(nn.Module):
    """A seq2seq model that gives logits at real target positions only.

    Padding is dropped before the head, so nothing of size (B, T, V) is built.
    """

    def __init__(self, model: T5ForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        decoder_input_ids: Tensor,
        is_target: Tensor,
        sequences: int = 1,
    ) -> Tensor:
        """Return the logits that predict each real target token, teacher-forced.

        Args:
            input_ids: (B, S) token ids.
            attention_mask: (B, S), 1 at tokens, 0 at padding.
            decoder_input_ids: (B · K, T) the targets shifted right, an input's K ones behind each other.
            is_target: (B · K, T) true at target tokens, false at padding; N of them are true.
            sequences: K, targets of each input, which is encoded once.

        Returns:
            (N, V) logits, in batch order.
        """
        hidden = self.head_input(input_ids, attention_mask, decoder_input_ids, is_target, sequences)
        return cast(Tensor, self.model.lm_head(hidden))

    def head_input(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        decoder_input_ids: Tensor,
        is_target: Tensor,
        sequences: int = 1,
    ) -> Tensor:
        """Return the (N, d) vectors that enter the output head, scaled as the model scales them."""
        encoded = self.model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if sequences > 1:
            encoded = encoded.repeat_interleave(sequences, dim=0)
            attention_mask = attention_mask.repeat_interleave(sequences, dim=0)
        decoded = self.model.decoder(
            input_ids=decoder_input_ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=attention_mask,
            use_cache=False,
        )
        hidden = decoded.last_hidden_state[is_target]
        if self.model.config.scale_decoder_outputs:
            hidden = hidden * self.model.config.d_model**-0.5
        return cast(Tensor, hidden)


def shift_right(labels: Tensor, start_id: int, pad_id: int) -> Tensor:
    """Return decoder inputs for `labels` (B, T; -100 at padding): the start token, then all labels but the last."""
    shifted = labels.new_full(labels.shape, pad_id)
    shifted[:, 0] = start_id
    shifted[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == -100, pad_id)
    return shifted
