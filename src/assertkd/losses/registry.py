"""Names of loss components and what computes them. A new component is one file and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from assertkd.errors import UserError
from assertkd.losses.ast import ast
from assertkd.losses.contrastive import contrastive
from assertkd.losses.cross_entropy import cross_entropy
from assertkd.losses.divergence import jsd, kl
from assertkd.losses.focal import focal
from assertkd.losses.metric_risk import PREFIX, metric_of, metric_risk
from assertkd.losses.pans import pans
from assertkd.losses.semantic import semantic
from assertkd.losses.target_batch import TargetBatch
from assertkd.losses.text_batch import TextBatch
from assertkd.settings import LossSettings

Options = Mapping[str, float]
LogColumns = Mapping[str, Callable[[float], float]]


@dataclass(frozen=True)
class TokenComponent:
    """A part of the loss over target tokens, with an exact gradient.

    Attributes:
        compute: returns the sum over a batch's target positions, given a `TargetBatch` and the component's options.
        needs_teacher: whether it reads the teacher's distributions.
        needs_hidden_states: whether it reads the student's hidden states.
        weighted: whether it applies token weights; its mean is then a weighted one.
        options: picks the component's options from the loss settings.
        log_columns: further columns of `step_metrics.csv`, each computed from the component's value.
    """

    compute: Callable[..., Tensor]
    needs_teacher: bool = False
    needs_hidden_states: bool = False
    weighted: bool = False
    options: Callable[[LossSettings], dict[str, float]] = lambda _: {}
    log_columns: LogColumns = field(default_factory=dict)

    def __call__(self, batch: TargetBatch, options: Options) -> Tensor:
        """Return the component's sum over the batch's target positions, a scalar."""
        return self.compute(batch, **options)


@dataclass(frozen=True)
class TextComponent:
    """A part of the loss over decoded text: the expected risk of what the student writes.

    Attributes:
        risk: returns the risk of every sampled prediction (B, K), given a `TextBatch` and the component's options.
        encoder: picks the encoder that it embeds with from the loss settings; None for a component that embeds nothing.
        scale: picks the factor before its weight from the loss settings; None for a component without one.
        options: picks the component's options from the loss settings.
        log_columns: further columns of `step_metrics.csv`, each computed from the mean risk.
    """

    risk: Callable[..., Tensor]
    encoder: Callable[[LossSettings], str] | None = None
    scale: Callable[[LossSettings], float] | None = None
    options: Callable[[LossSettings], dict[str, float]] = lambda _: {}
    log_columns: LogColumns = field(default_factory=dict)

    def __call__(self, batch: TextBatch, options: Options) -> Tensor:
        """Return the risk of every sampled prediction, (B, K) float32."""
        return self.risk(batch, **options)


COMPONENTS: dict[str, TokenComponent | TextComponent] = {
    "ce": TokenComponent(cross_entropy, weighted=True),
    "focal": TokenComponent(
        focal, weighted=True, options=lambda loss: {"alpha": loss.focal.alpha, "gamma": loss.focal.gamma}
    ),
    "kl": TokenComponent(kl, needs_teacher=True),
    "jsd": TokenComponent(jsd, needs_teacher=True),
    "semantic": TextComponent(
        semantic,
        encoder=lambda loss: loss.semantic.encoder,
        scale=lambda loss: loss.semantic.scale,
        log_columns={"sample_similarity": lambda risk: 1.0 - risk},
    ),
    "contrastive": TextComponent(
        contrastive,
        encoder=lambda loss: loss.contrastive.encoder,
        options=lambda loss: {"temperature": loss.contrastive.temperature},
    ),
    "pans": TextComponent(pans),
    "ast": TextComponent(ast),
}


def component_of(name: str) -> TokenComponent | TextComponent:
    """Return the component of a name: an entry of `COMPONENTS`, or `risk:<metric>` for any evaluation metric.

    Raises:
        UserError: there is no such component, or no such metric.
    """
    if name.startswith(PREFIX):
        return TextComponent(partial(metric_risk, metric=metric_of(name)))
    if name not in COMPONENTS:
        raise UserError(
            f"loss component {name!r} is unknown; there are {', '.join(COMPONENTS)} and {PREFIX}<metric>",
            "Name one of these in loss.components.",
        )
    return COMPONENTS[name]
