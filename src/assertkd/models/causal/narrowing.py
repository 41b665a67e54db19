"""A decoder-only network's most important attention heads and feed-forward units."""

import copy
import re

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from assertkd.errors import UserError
from assertkd.models.importance import check_width, cut, cut_units, entries_of, head_importance, most_important

WIDTHS = ("num_attention_heads", "num_key_value_heads", "intermediate_size")
"""Options of a configuration that say how wide its layers are."""

ATTENTION = re.compile(r"(.+\.self_attn)\.o_proj\.weight")
FEED_FORWARD = re.compile(r"(.+\.mlp)\.(?:down_proj|c_proj)\.weight")
INTO = ("gate_proj", "up_proj", "c_fc")
"""Names of the matrices into a feed-forward layer, of which a kind of network has one or two."""


def narrowed_weights(
    network: PreTrainedModel, heads: int | None, feed_forward: int | None
) -> tuple[PreTrainedConfig, dict[str, Tensor]] | None:
    """Return the configuration and the weights that are left; None where the network is of another form.

    Args:
        network: whose weights are read.
        heads: that each attention keeps; groups that share keys and values are kept whole; None: all.
        feed_forward: units that each feed-forward layer keeps; None: all.

    Raises:
        UserError: there are not so many, or they are no whole groups.
    """
    config, weights = copy.deepcopy(network.config), network.state_dict()
    asked = [one for one, count in ((ATTENTION, heads), (FEED_FORWARD, feed_forward)) if count is not None]
    # Of a mixture of experts, some layers may have none.
    in_every_layer = all(sum(map(bool, map(one.fullmatch, weights))) == config.num_hidden_layers for one in asked)
    if not in_every_layer or not all(hasattr(config, key) for key in WIDTHS):
        return None
    has_heads, groups, units = (getattr(config, key) for key in WIDTHS)
    check_width(heads, has_heads, feed_forward, units)
    size = has_heads // groups
    if heads is not None and (heads % size or config.hidden_size % heads):
        possible = [count for count in range(size, has_heads + 1, size) if config.hidden_size % count == 0]
        raise UserError(
            f"model.teacher_heads: {heads} is no multiple of {size}, the teacher's heads that share keys, or does "
            f"not divide its width, {config.hidden_size}",
            f"Set one of {', '.join(map(str, possible))}, or null for all.",
        )
    for name in [*weights]:
        if heads is not None and (match := ATTENTION.fullmatch(name)):
            layer = match[1]
            value = weights[f"{layer}.v_proj.weight"]
            kept = most_important(head_importance(value, weights[name], groups, has_heads), heads // size)
            config.head_dim = len(value) // groups
            cut(weights, [f"{layer}.q_proj"], entries_of(kept, size * config.head_dim), name)
            cut(weights, [f"{layer}.k_proj", f"{layer}.v_proj"], entries_of(kept, config.head_dim))
        elif feed_forward is not None and (match := FEED_FORWARD.fullmatch(name)):
            cut_units(weights, [f"{match[1]}.{part}" for part in INTO], name, feed_forward)
    chosen = heads or has_heads
    config.num_attention_heads, config.num_key_value_heads = chosen, chosen // size
    config.intermediate_size = feed_forward or units
    with torch.device("meta"):
        expected = type(network)(config).state_dict()
    if any(weights[name].shape != weight.shape for name, weight in expected.items()):
        # Fused matrices, say, or norms over all heads.
        return None
    return config, weights
