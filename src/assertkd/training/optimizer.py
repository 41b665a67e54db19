"""The optimizer: AdamW with warm-up and linear decay, clipping, and the arithmetic of mixed precision."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from assertkd.models.distillable import DistillableModel, TargetOutputs
from assertkd.settings import TrainingSettings

SMALLEST_SCALE = 1e-3
"""Least scale of a learning rate, so that weights that start at 0 (biases, say) move as well."""

WARMUP_SHARE = 0.15
"""Share of all steps that warm up where no number of steps is configured."""

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Arithmetic of the forward pass by `training.precision`; fp32 needs no autocast."""


class GradientNorms:
    """Measures the gradient's norm, of the whole model and of parts of it, in one pass, and clips it.

    Attributes:
        names: of the parts, which may share weights, and `total`.
        weights: the model's trainable weights, shared ones once.
    """

    def __init__(self, model: nn.Module, groups: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self.names = [*groups, "total"]
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        places = {id(weight): place for place, weight in enumerate(self.weights)}
        self._groups = [[places[id(w)] for w in group if w.requires_grad] for group in groups.values()]

    def measure(self) -> list[Tensor]:
        """Return the L2 norm of each part's gradient, then the whole's: scalars; weights without one count as 0."""
        gradients = {place: weight.grad for place, weight in enumerate(self.weights) if weight.grad is not None}
        # As `nn.utils.get_total_norm` does it, whose passes over encoder, decoder and the whole would be three.
        norms = dict(zip(gradients, torch._foreach_norm(list(gradients.values())), strict=True))
        groups = [[norms[place] for place in group if place in norms] for group in self._groups]
        return [torch.linalg.vector_norm(torch.stack(group)) for group in [*groups, list(norms.values())]]

    def clip(self, norm: Tensor, longest: float) -> None:
        """Scale the gradient, whose norm is known, down to the norm `longest` where it is longer."""
        nn.utils.clip_grads_with_norm_(self.weights, longest, norm)


class Optimizer:
    """Updates a model's weights from their gradients.

    Args:
        model: on its device; with mixed precision its forward pass is changed (see `use_autocast`).
        settings: learning rate, decay, clipping, precision.
        steps: optimizer steps of the whole training.
        others: weights beside the model's that are trained with them, by names that none of the model's has.

    Attributes:
        warmup: steps of warm-up.
        learning_rate: that of the latest step, before any scale.
    """

    def __init__(
        self,
        model: DistillableModel,
        settings: TrainingSettings,
        steps: int,
        others: Mapping[str, nn.Parameter] = MappingProxyType({}),
    ) -> None:
        self._model, self._settings, self._steps, self._others = model, settings, steps, others
        trained = nn.ModuleList([model, nn.ParameterList(others.values())])
        self._adamw = adamw(trained, settings.lr, settings.weight_decay, relative=settings.relative_lr)
        self._scaler = torch.amp.GradScaler(model.device.type, enabled=settings.precision == "fp16")
        self.gradient = GradientNorms(trained, model.parameter_groups())
        self.warmup = warmup_length(settings.warmup_steps, steps)
        self.learning_rate = 0.0
        if settings.precision in AUTOCAST:
            use_autocast(model, AUTOCAST[settings.precision])

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradient."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, step: int) -> list[Tensor]:
        """Clip the gradient, update the weights, clear the gradient; return its norms before clipping.

        Args:
            step: number of the step, from 0; decides the learning rate.
        """
        # Gradients carry fp16's loss scale until here; norms and clipping need their true size.
        self._scaler.unscale_(self._adamw)
        norms = self.gradient.measure()
        self.gradient.clip(norms[-1], self._settings.max_grad_norm)
        self.learning_rate = self._settings.lr * lr_factor(step, self.warmup, self._steps)
        for group in self._adamw.param_groups:
            group["lr"] = self.learning_rate * group["scale"]
        self._scaler.step(self._adamw)
        self._scaler.update()
        self._adamw.zero_grad(set_to_none=True)
        return norms

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return all that later steps depend on: JSON values, and tensors by `weight:key`."""
        tensors = {
            f"{name}:{key}": value
            for name, weight in self._weights().items()
            for key, value in self._adamw.state.get(weight, {}).items()
        }
        return {"learning_rate": self.learning_rate, "scaler": self._scaler.state_dict()}, tensors

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        weights = self._weights()
        for name_and_key, value in tensors.items():
            name, _, key = name_and_key.rpartition(":")
            self._adamw.state[weights[name]][key] = value.clone().to(weights[name].device)
        self.learning_rate = values["learning_rate"]
        if values["scaler"]:
            self._scaler.load_state_dict(values["scaler"])

    def _weights(self) -> dict[str, nn.Parameter]:
        return self._model.weights() | dict(self._others)


def use_autocast(model: DistillableModel, dtype: torch.dtype) -> None:
    """Let the model's forward pass compute in `dtype` where that is safe, and return its outputs in float32."""
    forward, device = model.forward, model.device.type

    def autocast_forward(*arguments: Any, **named: Any) -> TargetOutputs:
        with torch.autocast(device, dtype=dtype):
            outputs = forward(*arguments, **named)
        return TargetOutputs(outputs.logits.float(), tuple(states.float() for states in outputs.hidden_states))

    model.forward = autocast_forward  # type: ignore[method-assign]


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
            {"params": members, "weight_decay": decay, "lr": lr * scale, "scale": scale}
            for (scale, decay), members in groups.items()
        ],
        lr=lr,
        fused=True,
    )


def warmup_length(warmup_steps: int, steps: int) -> int:
    """Return the steps of warm-up: as configured, or `WARMUP_SHARE` of all where that is 0; at least 1."""
    return max(1, warmup_steps or round(WARMUP_SHARE * steps))


def lr_factor(step: int, warmup: int, steps: int) -> float:
    """Return the share of the peak learning rate at step `step`, counted from 0.

    It rises linearly to 1 over `warmup` steps, then falls linearly towards 0 at `steps`.
    """
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))
