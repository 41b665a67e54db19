"""Names of loss components and what computes them. A new component is one file and one line here.

Components are named by settings, and whoever reads settings must not wait for torch: the functions that compute them
are imported when they are first called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from assertkd.errors import UserError
from assertkd.metrics.pans import pans
from assertkd.metrics.registry import PairMetric, pair_metrics
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.settings import LossSettings

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "risk:"
"""What names the risk of a metric of the evaluation: `risk:bleu`."""


def imported(name: str) -> Callable[..., "Tensor"]:
    """Return a function that calls the one named `module:function` below `assertkd.losses`."""

    def call(*arguments: Any, **options: Any) -> "Tensor":
        computed: Tensor = resolve_name(f"assertkd.losses.{name}")(*arguments, **options)
        return computed

    return call


def risk_of(metric: PairMetric) -> Callable[..., "Tensor"]:
    """Return what computes the risk of a metric of the evaluation."""
    return partial(imported("metric_risk:metric_risk"), metric=metric)


@dataclass(frozen=True)
class Component:
    """A part of the loss.

    Attributes:
        compute: returns its value, given a batch and the component's options.
        options: picks the component's options from the loss settings.
        log_columns: further columns of `step_metrics.csv`, each computed from the component's mean value.
    """

    compute: Callable[..., "Tensor"]
    options: Callable[[LossSettings], dict[str, float | str]] = field(default=lambda _: {}, kw_only=True)
    log_columns: Mapping[str, Callable[[float], float]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class TokenComponent(Component):
    """A part of the loss over target tokens, with an exact gradient: a sum over the positions of a `TargetBatch`.

    Attributes:
        needs_teacher: whether it reads the teacher's distributions.
        needs_hidden_states: whether it reads the student's hidden states.
        needs_features: whether it compares hidden states of both models, for which the teacher itself runs along.
        weighted: whether it applies token weights; its mean is then a weighted one.
        aligns_tokenizers: whether it reads them for a student with a tokenizer of its own too.
    """

    needs_teacher: bool = False
    needs_hidden_states: bool = False
    needs_features: bool = False
    weighted: bool = False
    aligns_tokenizers: bool = False


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
    "ce": TokenComponent(imported("cross_entropy:cross_entropy"), weighted=True),
    "focal": TokenComponent(
        imported("focal:focal"),
        weighted=True,
        options=lambda loss: {"alpha": loss.focal.alpha, "gamma": loss.focal.gamma},
    ),
    "kl": TokenComponent(imported("divergence:kl"), needs_teacher=True),
    "jsd": TokenComponent(imported("divergence:jsd"), needs_teacher=True),
    "uld": TokenComponent(imported("uld:uld"), needs_teacher=True, aligns_tokenizers=True),
    "hidden": TokenComponent(
        imported("hidden:hidden"), needs_features=True, options=lambda loss: {"distance": loss.hidden.distance}
    ),
    "semantic": TextComponent(
        imported("semantic:semantic"),
        encoder=lambda loss: loss.semantic.encoder,
        scale=lambda loss: loss.semantic.scale,
        log_columns={"sample_similarity": lambda risk: 1.0 - risk},
    ),
    "contrastive": TextComponent(
        imported("contrastive:contrastive"),
        encoder=lambda loss: loss.contrastive.encoder,
        options=lambda loss: {"temperature": loss.contrastive.temperature},
    ),
    "pans": TextComponent(risk_of(pans)),
    "ast": TextComponent(risk_of(syntax_validity)),
}


def component_of(name: str) -> TokenComponent | TextComponent:
    """Return the component of a name: an entry of `COMPONENTS`, or `risk:<metric>` for any evaluation metric.

    Raises:
        UserError: there is no such component, or no such metric.
    """
    if name.startswith(PREFIX):
        return TextComponent(risk_of(metric_of(name)))
    if name not in COMPONENTS:
        raise UserError(
            f"loss component {name!r} is unknown; there are {', '.join(COMPONENTS)} and {PREFIX}<metric>",
            "Name one of these in loss.components.",
        )
    return COMPONENTS[name]


def metric_of(component: str) -> PairMetric:
    """Return the metric that a component `risk:<metric>` names.

    Raises:
        UserError: there is no such metric.
    """
    name, metrics = component.removeprefix(PREFIX), pair_metrics()
    if name not in metrics:
        raise UserError(
            f"loss component {component!r}: there is no metric {name!r}; there are {', '.join(metrics)}",
            f"Name one of these after `{PREFIX}`.",
        )
    return metrics[name]
