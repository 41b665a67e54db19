"""T5-family models: built from sizes, loaded and saved, and run over targets without touching padding."""

from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from assertkd.errors import UserError
from assertkd.models.hub import remedy_for_missing
from assertkd.settings import ModelSettings
from assertkd.settings.model import SCRATCH, ScratchSettings


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
