"""Names of loss components and what computes them. A new component is one file and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from assertkd.losses.batch import TargetBatch
from assertkd.losses.cross_entropy import cross_entropy
from assertkd.losses.divergence import jsd, kl
from assertkd.losses.focal import focal
from assertkd.settings import LossSettings


@dataclass(frozen=True)
class Component:
    """A part of the loss.

    Attributes:
        compute: returns the sum over a batch's target positions, given the batch and the component's options.
        needs_teacher: whether it reads the teacher's distributions.
        options: picks the component's options from the loss settings.
    """

    compute: Callable[..., Tensor]
    needs_teacher: bool = False
    options: Callable[[LossSettings], dict[str, float]] = lambda _: {}

    def __call__(self, batch: TargetBatch, options: Mapping[str, float]) -> Tensor:
        """Return the component's sum over the batch's target positions, a scalar."""
        return self.compute(batch, **options)


COMPONENTS: dict[str, Component] = {
    "ce": Component(cross_entropy),
    "focal": Component(focal, options=lambda loss: {"alpha": loss.focal.alpha, "gamma": loss.focal.gamma}),
    "kl": Component(kl, needs_teacher=True),
    "jsd": Component(jsd, needs_teacher=True),
}
