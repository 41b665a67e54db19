"""From a variant's loss settings to the components that it really uses, with their weights and options."""

from typing import Literal

from pydantic import Field

from assertkd.errors import UserError
from assertkd.losses.registry import TextComponent, TokenComponent, component_of
from assertkd.losses.schedule import START_AND_END, UNLISTED
from assertkd.settings import LossSettings
from assertkd.settings.loss import HiddenSettings, TextLossSettings
from assertkd.settings.section import Section


class ComponentPlan(Section):
    """One component of a loss."""

    name: str
    start: float
    """Weight at the first optimizer step."""
    end: float
    """Weight at the last optimizer step."""
    scale: float = 1.0
    """Factor before the weight."""
    encoder: str | None = None
    """Encoder that it embeds texts with."""
    options: dict[str, float | str] = Field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Whether its weight is above 0 anywhere in the schedule."""
        return self.start > 0 or self.end > 0


class LossPlan(Section):
    """Everything that decides a loss, and nothing that does not."""

    components: tuple[ComponentPlan, ...] = Field(min_length=1)
    sum_to_one: bool
    """Whether the weights are divided by their sum at every step."""
    normalise: Literal["none", "running_mean", "gradient"] = "none"
    """Running means that each component is divided by: of its value, or of its gradient's norm."""
    temperature: float | None = None
    """Distillation temperature; None where no component reads the teacher."""
    alpha: float | None = None
    """The presets' weight of the hard labels, for the logs; None for a multi-component loss."""
    critical_token_weight: float | None = None
    """Weight of critical tokens; None where all tokens weigh alike."""
    sampling: TextLossSettings | None = None
    """How predictions are sampled, `start` and `max_share` as they take effect; None where no component judges text."""
    hidden: HiddenSettings | None = Field(None, exclude_if=lambda hidden: hidden is None)
    """Which hidden states are compared; None where no component does so."""
    input_weight: float = Field(0.0, exclude_if=lambda weight: weight == 0)
    """Weight of the cross-entropy of the input's tokens, added to the weighted components."""

    @property
    def token_components(self) -> tuple[tuple[ComponentPlan, TokenComponent], ...]:
        """The components over target tokens, with what computes them."""
        return tuple((c, found) for c in self.components if isinstance(found := component_of(c.name), TokenComponent))

    @property
    def text_components(self) -> tuple[tuple[ComponentPlan, TextComponent], ...]:
        """The components over decoded text, with what computes them."""
        return tuple((c, found) for c in self.components if isinstance(found := component_of(c.name), TextComponent))

    @property
    def needs_teacher(self) -> bool:
        """Whether any component reads the teacher's distributions."""
        return any(component.needs_teacher for _, component in self.token_components)

    @property
    def needs_hidden_states(self) -> bool:
        """Whether any component reads the student's hidden states."""
        return any(component.needs_hidden_states for _, component in self.token_components)

    @property
    def feature_components(self) -> tuple[str, ...]:
        """Names of the components that compare hidden states with the teacher's."""
        return tuple(component.name for component, found in self.token_components if found.needs_features)

    def weights(self, share: float) -> dict[str, float]:
        """Return each component's weight at `share` in [0, 1] of training."""
        weights = {c.name: c.start + (c.end - c.start) * share for c in self.components}
        if self.sampling is not None and share < self.sampling.start:
            weights |= {component.name: 0.0 for component, _ in self.text_components}
        total = sum(weights.values()) if self.sum_to_one else 1.0
        return {name: weight / total for name, weight in weights.items()}


def plan_loss(loss: LossSettings) -> LossPlan:
    """Return the plan of a variant's loss.

    Raises:
        UserError: a component is unknown, or all weights are 0 at one end of the schedule.
    """
    plans, token_components, sampling, token_start, token_end = [], [], None, 0.0, 0.0
    for name, (start, end) in _weights(loss).items():
        component = component_of(name)
        scale, encoder = 1.0, None
        if isinstance(component, TokenComponent):
            token_components.append(component)
            token_start, token_end = token_start + start, token_end + end
        else:
            sampling = loss.text
            scale = component.scale(loss) if component.scale else 1.0
            encoder = component.encoder(loss) if component.encoder else None
        options = component.options(loss)
        plans.append(ComponentPlan(name=name, start=start, end=end, scale=scale, encoder=encoder, options=options))
    if sampling is not None and not token_start:
        # Nothing else is trained before.
        sampling = sampling.model_copy(update={"start": 0.0})
    if sampling is not None and not token_start + token_end:
        # There is no other gradient to take a share of.
        sampling = sampling.model_copy(update={"max_share": 1.0})
    weighting = loss.token_weighting
    is_weighted = weighting.enabled and any(component.weighted for component in token_components)
    multi = loss.function == "multi_component"
    return LossPlan(
        components=tuple(plans),
        sum_to_one=multi,
        normalise=loss.normalise,
        temperature=loss.temperature if any(component.needs_teacher for component in token_components) else None,
        alpha=None if multi else loss.alpha,
        critical_token_weight=weighting.critical_token_weight if is_weighted else None,
        sampling=sampling,
        hidden=loss.hidden if any(component.needs_features for component in token_components) else None,
        input_weight=loss.input_weight,
    )


def hard_labels() -> LossPlan:
    """Return the plan of plain cross-entropy with the targets."""
    return LossPlan(components=(ComponentPlan(name="ce", start=1.0, end=1.0),), sum_to_one=False)


def _weights(loss: LossSettings) -> dict[str, tuple[float, float]]:
    """Return each component's weight at the first and the last step, not yet divided by their sum."""
    if loss.function != "multi_component":
        fixed = {"ce": loss.alpha, "kl": 1.0 - loss.alpha}
        if loss.function == "enhanced":
            fixed["pans"] = loss.pans_weight
        elif loss.function == "ast_enhanced":
            fixed["ast"] = loss.ast_weight
        return {name: (weight, weight) for name, weight in fixed.items()}
    table = {**START_AND_END} | {name: (entry.start, entry.end) for name, entry in loss.schedule.items()}
    chosen = {name: table.get(name, UNLISTED) for name in loss.components}
    if loss.weights is not None:
        chosen = {
            name: (weight, chosen[name][1] if loss.dynamic_weighting else weight)
            for name, weight in zip(loss.components, loss.weights, strict=True)
        }
    if not loss.dynamic_weighting:
        chosen = {name: (start, start) for name, (start, _) in chosen.items()}
    if not sum(start for start, _ in chosen.values()) or not sum(end for _, end in chosen.values()):
        raise UserError(
            "loss: the weights of all components are 0 at the first or the last step",
            "Give one a weight above 0 (loss.weights or loss.schedule).",
        )
    return chosen
