"""Names of loss components and what computes them. A new component is one file and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from assertkd.errors import UserError
from assertkd.losses.contrastive import contrastive
from assertkd.losses.cross_entropy import cross_entropy
from assertkd.losses.divergence import jsd, kl
from assertkd.losses.focal import focal
from assertkd.losses.metric_risk import PREFIX, metric_of, metric_risk
from assertkd.losses.semantic import semantic
from assertkd.metrics.pans import pans
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.settings import LossSettings


@dataclass(frozen=True)
class Component:
    """A part of the loss.

    Attributes:
        compute: returns its value, given a batch and the component's options.
        options: picks the component's options from the loss settings.
        log_columns: further columns of `step_metrics.csv`, each computed from the component's mean value.
    """

    compute: Callable[..., Tensor]
    options: Callable[[LossSettings], dict[str, float]] = field(default=lambda _: {}, kw_only=True)
    log_columns: Mapping[str, Callable[[float], float]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class TokenComponent(Component):
    """A part of the loss over target tokens, with an exact gradient: a sum over the positions of a `TargetBatch`.

    Attributes:
        needs_teacher: whether it reads the teacher's distributions.
        needs_hidden_states: whether it reads the student's hidden states.
        weighted: whether it applies token weights; its mean is then a weighted one.
    """

    needs_teacher: bool = False
    needs_hidden_states: bool = False
    weighted: bool = False


@dataclass(frozen=True)
class TextComponent(Component):
    """A part of the loss over decoded text: the risk (B, K) of every sampled prediction of a `TextBatch`.

    Attributes:
        encoder: picks the encoder that it embeds with from the loss settings; None for a component that embeds nothing.
        scale: picks the factor before its weight from the loss settings; None for a component without one.
    """

    encoder: Callable[[LossSettings], str] | None = None
    scale: Callable[[LossSettings], float] | None = None


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
    "pans": TextComponent(partial(metric_risk, metric=pans)),
    "ast": TextComponent(partial(metric_risk, metric=syntax_validity)),
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
