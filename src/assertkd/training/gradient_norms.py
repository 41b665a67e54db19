"""The gradient's norm, of the whole model and of parts of it, from one pass over the gradient."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

TOTAL = "total"


class GradientNorms:
    """Measures and clips the gradient of one model.

    Args:
        model: the whole.
        groups: parts of it by name, which may share weights.

    Attributes:
        names: of the parts, and `total`.
        weights: the model's trainable weights, shared ones once.
    """

    def __init__(self, model: nn.Module, groups: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self.names = [*groups, TOTAL]
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
