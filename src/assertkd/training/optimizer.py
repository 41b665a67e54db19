"""The optimizer and its learning rate over training."""

import torch
from torch import nn

WARMUP_SHARE = 0.15
"""Share of all steps that warm up where no number of steps is given."""


def adamw(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over the model's weights; vectors (norms, biases) are not decayed."""
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": weight_decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=lr,
        fused=True,
    )


def warmup_length(warmup_steps: int, steps: int) -> int:
    """Return the steps of warm-up: as given, or `WARMUP_SHARE` of all where 0 is given; at least 1."""
    return max(1, warmup_steps or round(WARMUP_SHARE * steps))


def lr_factor(step: int, warmup: int, steps: int) -> float:
    """Return the share of the peak learning rate at step `step`, counted from 0.

    It rises linearly to 1 over `warmup` steps, then falls linearly towards 0 at `steps`.
    """
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))
