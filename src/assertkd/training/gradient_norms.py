"""The gradient's norm, of the whole model and of parts of it, from one pass over the gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GradientNorms:
    """Measures gradients of one model.

    Args:
        model: the whole.
        parts: modules of it, which may share weights.

    Attributes:
        weights: the model's trainable weights, shared ones once.
    """

    def __init__(self, model: nn.Module, parts: Sequence[nn.Module]) -> None:
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        places = {id(weight): place for place, weight in enumerate(self.weights)}
        self._parts = [[places[id(w)] for w in part.parameters() if w.requires_grad] for part in parts]

    def measure(self) -> list[Tensor]:
        """Return the L2 norm of each part's gradient, then the whole's: scalars; weights without one count as 0."""
        gradients = {place: weight.grad for place, weight in enumerate(self.weights) if weight.grad is not None}
        # As `nn.utils.get_total_norm` does it, whose passes over encoder, decoder and the whole would be three.
        norms = dict(zip(gradients, torch._foreach_norm(list(gradients.values())), strict=True))
        parts = [[norms[place] for place in part if place in norms] for part in self._parts]
        return [torch.linalg.vector_norm(torch.stack(part)) for part in [*parts, list(norms.values())]]

    def clip(self, norm: Tensor, longest: float) -> None:
        """Scale the gradient, whose norm is known, down to the norm `longest` where it is longer."""
        nn.utils.clip_grads_with_norm_(self.weights, longest, norm)
