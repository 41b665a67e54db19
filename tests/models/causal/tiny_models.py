"""Tiny random networks of the decoder-only kinds that are tested."""

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MixtralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Starcoder2Config,
)

from assertkd.models.causal.model import CausalModel

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
SLIDING = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"] * 2}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
KINDS: dict[str, tuple[type[PreTrainedConfig], dict[str, Any]]] = {
    "llama": (LlamaConfig, SIZES | {"tie_word_embeddings": False}),
    "smollm2": (LlamaConfig, SIZES | {"tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, SIZES | {"tie_word_embeddings": True}),
    "qwen2 sliding": (Qwen2Config, SIZES | SLIDING | {"use_sliding_window": True}),
    "qwen3": (Qwen3Config, SIZES),
    "starcoder2": (Starcoder2Config, SIZES | {"sliding_window": 6}),
    "gemma2": (Gemma2Config, SIZES | SLIDING | {"query_pre_attn_scalar": 8, "final_logit_softcapping": 3.0}),
    "gemma3_text": (Gemma3TextConfig, SIZES | SLIDING | {"query_pre_attn_scalar": 8}),
    "qwen2_moe": (Qwen2MoeConfig, SIZES | EXPERTS | {"shared_expert_intermediate_size": 24}),
    "mixtral": (MixtralConfig, SIZES | {"num_local_experts": 4}),
    "gpt2": (GPT2Config, {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 96}),
}
VOCABULARY, PAD, END = 40, 0, 1


def random_model(kind: str, seed: int = 0, **changes: Any) -> CausalModel:
    """Return a model whose weights are large enough that its tokens depend on what it reads."""
    torch.manual_seed(seed)
    configuration, sizes = KINDS[kind]
    named = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "bos_token_id": None, "eos_token_id": END}
    network = AutoModelForCausalLM.from_config(configuration(**named | sizes | changes), dtype=torch.float32)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return CausalModel(network).eval()
