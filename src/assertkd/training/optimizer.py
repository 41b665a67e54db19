"""The optimizer and its learning rate over training."""

import torch
from torch import nn

SMALLEST_SCALE = 1e-3
"""Weights that start at 0 (biases, say) must move as well."""

WARMUP_SHARE = 0.15
"""Share of all steps that warm up where no number of steps is given."""


def adamw(model: nn.Module, lr: float, weight_decay: float, *, relative: bool = False) -> torch.optim.AdamW:
    """Return AdamW over the model's weights; vectors (norms, biases) are not decayed.

    Every group has a `scale`, the factor on its learning rate: 1, or the weights' size with `relative`.

    Args:
        model: its trainable weights are taken.
        lr: learning rate at scale 1.
        weight_decay: of matrices.
        relative: whether each weight's rate is multiplied by the root mean square of its values as they are now, at
            least `SMALLEST_SCALE`. Source: Shazeer & Stern 2018, Adafactor, section 8.
    """
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for weight in weights:
        scale = max(float(weight.detach().square().mean().sqrt()), SMALLEST_SCALE) if relative else 1.0
        groups.setdefault((scale, weight_decay if weight.ndim > 1 else 0.0), []).append(weight)
    return torch.optim.AdamW(
        [
            {"params": each, "weight_decay": decay, "lr": lr * scale, "scale": scale}
            for (scale, decay), each in groups.items()
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
