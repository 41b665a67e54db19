"""Which models of transformers are decoder-only models that can be computed here, by their configurations."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from assertkd.errors import UserError

if TYPE_CHECKING:
    # Takes seconds to import, and who asks for a tokenizer needs no network.
    from transformers import PreTrainedModel

NAMES = {kind: name for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items() if isinstance(name, str)}
"""The class of the network by `model_type`."""

CAP = "final_logit_softcapping"
"""c of logits that are c · tanh(head(hidden) / c); Gemma has it."""

SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier", "logits_scale", "output_multiplier_scale")
"""Names of a factor between head and logits, as Cohere, Granite and Falcon H1 have one."""

ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers whose past is keys and values, which can be repeated and selected by rows."""


def is_decoder_only(model_type: object, architectures: object) -> bool:
    """Return whether a configuration's `model_type` and `architectures` name a decoder-only language model."""
    return (
        isinstance(model_type, str)
        and isinstance(architectures, list)
        and model_type in NAMES
        and NAMES[model_type] in architectures
    )


def network_class(config: PreTrainedConfig) -> "type[PreTrainedModel]":
    """Return the class of the network that a configuration describes."""
    architecture: type[PreTrainedModel] = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return architecture


def check_config(name: str | Path, config: PreTrainedConfig) -> None:
    """Refuse a configuration of something else than a decoder-only model of attention layers and a plain head.

    Raises:
        UserError: saying what it has that is not known here.
    """
    remedy = "Use a decoder-only model as Qwen2.5-Coder, Llama, SmolLM2, StarCoder2 or Gemma, or CodeT5+."
    architectures = getattr(config, "architectures", None) or []
    if not is_decoder_only(config.model_type, architectures):
        found = f"{config.model_type!r} model ({', '.join(architectures) or 'without architectures'})"
        raise UserError(f"{name}: is a {found}, which is neither of the T5 family nor decoder-only", remedy)
    scales = [f"{key} {value}" for key in SCALES if (value := getattr(config, key, None)) not in (None, 1)]
    if scales:
        raise UserError(f"{name}: scales what its head gives ({', '.join(scales)}), which is not computed here", remedy)
    network = network_class(config)
    others = {*(getattr(config, "layer_types", None) or [])} - ATTENTION
    if others or not {"position_ids", "past_key_values"} <= inspect.signature(network.forward).parameters.keys():
        what = f"layers of {', '.join(sorted(others))}" if others else "no position_ids or no cache of keys and values"
        raise UserError(f"{name}: {network.__name__} has {what}, which is not computed here", remedy)
