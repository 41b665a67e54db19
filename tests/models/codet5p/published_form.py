"""A tiny random CodeT5+ as the published ones are stored, and its logits computed with numpy from the specification.

The specification is `modeling_codet5p.py` beside the published weights. Nothing here is shared with the project.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

Vectors = NDArray[np.float64]
VOCABULARY, PAD, END, POSITIONS = 40, 0, 1, 24
ENCODER = {"n_embd": 32, "n_layer": 2, "n_head": 8, "rotary_dim": 2}
DECODER = {"n_embd": 64, "n_layer": 3, "n_head": 8, "rotary_dim": 4}
SHARED = {
    "activation_function": "gelu_new",
    "attn_pdrop": 0.0,
    "bad_words_ids": None,
    "bos_token_id": 1,
    "cross_attention_hidden_size": None,
    "decoder_start_token_id": PAD,
    "do_sample": False,
    "embd_pdrop": 0.0,
    "eos_token_id": END,
    "initializer_range": 0.02,
    "is_encoder_decoder": False,
    "layer_norm_epsilon": 1e-05,
    "max_length": 20,
    "model_type": "codet5p_module",
    "n_ctx": POSITIONS,
    "n_inner": None,
    "n_positions": POSITIONS,
    "num_beams": 1,
    "pad_token_id": None,
    "pruned_heads": {},
    "resid_pdrop": 0.0,
    "return_dict": True,
    "scale_attn_weights": True,
    "tie_encoder_decoder": False,
    "tie_word_embeddings": False,
    "tokenizer_class": "GPT2Tokenizer",
    "torch_dtype": "float16",
    "transformers_version": "4.21.3",
    "use_cache": True,
    "vocab_size": VOCABULARY,
}


def published_config(encoder: dict[str, Any] = ENCODER, decoder: dict[str, Any] = DECODER) -> dict[str, Any]:
    """Return the content of a `config.json` with keys as that of Salesforce/codet5p-2b."""
    return {
        "_name_or_path": "codet5p-2b",
        "architectures": ["CodeT5pEncoderDecoderModel"],
        "auto_map": {
            "AutoConfig": "configuration_codet5p.CodeT5pConfig",
            "AutoModelForSeq2SeqLM": "modeling_codet5p.CodeT5pEncoderDecoderModel",
        },
        "decoder": SHARED | {"add_cross_attention": True, "is_decoder": True} | decoder,
        "encoder": SHARED | {"add_cross_attention": False, "is_decoder": False} | encoder,
        "is_encoder_decoder": True,
        "model_type": "codet5p",
        "torch_dtype": "float16",
        "transformers_version": None,
    }


def random_weights(config: dict[str, Any], seed: int = 0) -> dict[str, Vectors]:
    """Return every weight by its published name."""
    draw = np.random.default_rng(seed)
    encoder, decoder = config["encoder"], config["decoder"]
    weights = {}
    for prefix, sizes in (("encoder.", encoder), ("decoder.transformer.", decoder)):
        d = sizes["n_embd"]
        weights[f"{prefix}wte.weight"] = draw.normal(size=(sizes["vocab_size"], d))
        for layer in range(sizes["n_layer"]):
            block = f"{prefix}h.{layer}."
            weights |= {
                f"{block}ln_1.weight": draw.normal(1, 0.2, d),
                f"{block}ln_1.bias": draw.normal(0, 0.2, d),
                f"{block}attn.qkv_proj.weight": draw.normal(0, 0.3, (3 * d, d)),
                f"{block}attn.out_proj.weight": draw.normal(0, 0.3, (d, d)),
                f"{block}mlp.fc_in.weight": draw.normal(0, 0.2, (4 * d, d)),
                f"{block}mlp.fc_in.bias": draw.normal(0, 0.2, 4 * d),
                f"{block}mlp.fc_out.weight": draw.normal(0, 0.2, (d, 4 * d)),
                f"{block}mlp.fc_out.bias": draw.normal(0, 0.2, d),
            }
        weights[f"{prefix}ln_f.weight"] = draw.normal(1, 0.2, d)
        weights[f"{prefix}ln_f.bias"] = draw.normal(0, 0.2, d)
    d, cross = decoder["n_embd"], f"decoder.transformer.h.{decoder['n_layer'] - 1}.crossattention."
    weights |= {
        f"{cross}qkv_proj.weight": draw.normal(0, 0.3, (2 * d, d)),
        f"{cross}q_attn.weight": draw.normal(0, 0.3, (d, d)),
        f"{cross}out_proj.weight": draw.normal(0, 0.3, (d, d)),
        "decoder.lm_head.weight": draw.normal(0, 0.2, (decoder["vocab_size"], d)),
        "decoder.lm_head.bias": draw.normal(0, 1, decoder["vocab_size"]),
    }
    if encoder["n_embd"] != d:
        weights["enc_to_dec_proj.weight"] = draw.normal(0, 0.3, (d, encoder["n_embd"]))
        weights["enc_to_dec_proj.bias"] = draw.normal(0, 0.3, d)
    return weights


def store(folder: Path, config: dict[str, Any], weights: dict[str, Vectors], *, pickled: bool = False) -> Path:
    """Write a model's folder, causal masks beside the weights as the published files have them; return it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    masks = {name.replace("out_proj.weight", "causal_mask") for name in weights if name.endswith("out_proj.weight")}
    tensors = {name: torch.tensor(weight, dtype=torch.float32) for name, weight in weights.items()}
    tensors |= {name: torch.ones(1, 1, POSITIONS, POSITIONS, dtype=torch.uint8).tril() for name in sorted(masks)}
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors")
    return folder


def reference_logits(
    config: dict[str, Any], weights: dict[str, Vectors], inputs: list[int], written: list[int]
) -> Vectors:
    """Return the logits (T, V) behind each of the T tokens that the decoder has written, the start token among them."""
    encoder, decoder = config["encoder"], config["decoder"]
    hidden = weights["encoder.wte.weight"][inputs]
    everything = np.ones((len(inputs), len(inputs)), dtype=bool)
    for layer in range(encoder["n_layer"]):
        hidden = hidden + _layer(weights, f"encoder.h.{layer}.", encoder, hidden, everything, None)
    encoded = _normed(weights, "encoder.ln_f", hidden)
    if "enc_to_dec_proj.weight" in weights:
        encoded = encoded @ weights["enc_to_dec_proj.weight"].T + weights["enc_to_dec_proj.bias"]
    hidden = weights["decoder.transformer.wte.weight"][written]
    past = np.tril(np.ones((len(written), len(written)), dtype=bool))
    for layer in range(decoder["n_layer"]):
        read = encoded if layer == decoder["n_layer"] - 1 else None
        hidden = hidden + _layer(weights, f"decoder.transformer.h.{layer}.", decoder, hidden, past, read)
    last = _normed(weights, "decoder.transformer.ln_f", hidden)
    logits: Vectors = last @ weights["decoder.lm_head.weight"].T + weights["decoder.lm_head.bias"]
    return logits


def _layer(
    weights: dict[str, Vectors], block: str, sizes: dict[str, Any], hidden: Vectors, seen: Any, encoded: Vectors | None
) -> Vectors:
    """Return what a layer adds: attention, feed-forward and cross-attention of the same normed vectors."""
    normed = _normed(weights, f"{block}ln_1", hidden)
    added = _attention(weights, f"{block}attn.", sizes, normed, normed, seen)
    inner = normed @ weights[f"{block}mlp.fc_in.weight"].T + weights[f"{block}mlp.fc_in.bias"]
    inner = 0.5 * inner * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
    added += inner @ weights[f"{block}mlp.fc_out.weight"].T + weights[f"{block}mlp.fc_out.bias"]
    if encoded is not None:
        everything = np.ones((len(hidden), len(encoded)), dtype=bool)
        added += _attention(weights, f"{block}crossattention.", sizes, normed, encoded, everything)
    return added


def _attention(
    weights: dict[str, Vectors], name: str, sizes: dict[str, Any], asking: Vectors, asked: Vectors, seen: Any
) -> Vectors:
    """Return attention, head by head; each quarter of `qkv_proj` has its heads' (queries,) values, keys, in turn."""
    d, heads = sizes["n_embd"], sizes["n_head"]
    width, local = d // heads, d // 4
    projection, own = weights[f"{name}qkv_proj.weight"], weights.get(f"{name}q_attn.weight")
    kinds = 3 if own is None else 2
    read = []
    for head in range(heads):
        quarter, number = divmod(head, heads // 4)
        first = quarter * kinds * local + number * width
        rows = [projection[first + kind * local : first + kind * local + width] for kind in range(kinds)]
        if own is not None:
            rows.insert(0, own[head * width : (head + 1) * width])
        queries, values, keys = asking @ rows[0].T, asked @ rows[1].T, asked @ rows[2].T
        rotary = sizes["rotary_dim"]
        scores = _turned(queries, rotary) @ _turned(keys, rotary).T / np.sqrt(width)
        scores = np.exp(np.where(seen, scores, -np.inf))
        read.append(scores / scores.sum(axis=1, keepdims=True) @ values)
    result: Vectors = np.concatenate(read, axis=1) @ weights[f"{name}out_proj.weight"].T
    return result


def _turned(vectors: Vectors, rotary: int) -> Vectors:
    """Return vectors whose pairs of neighbouring numbers are turned by the place's angle, of the first `rotary`."""
    turned = vectors.copy()
    for place in range(len(vectors)):
        for even in range(0, rotary, 2):
            angle = place / 10000 ** (even / rotary)
            x, y = vectors[place, even : even + 2]
            turned[place, even] = x * np.cos(angle) - y * np.sin(angle)
            turned[place, even + 1] = y * np.cos(angle) + x * np.sin(angle)
    return turned


def _normed(weights: dict[str, Vectors], name: str, hidden: Vectors) -> Vectors:
    centred = hidden - hidden.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    result: Vectors = normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return result
