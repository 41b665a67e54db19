"""From a variant's loss settings to the components that it really uses, with their weights and options."""

from pydantic import Field

from assertkd.errors import UserError
from assertkd.losses.registry import COMPONENTS
from assertkd.losses.schedule import START_AND_END, interpolate, normalised
from assertkd.settings import LossSettings
from assertkd.settings.schema import Section


class ComponentPlan(Section):
    """One component: its weight at the first and the last step, and its options."""

    name: str
    start: float
    end: float
    options: dict[str, float] = Field(default_factory=dict)


class LossPlan(Section):
    """Everything that decides a loss, and nothing that does not."""

    components: tuple[ComponentPlan, ...] = Field(min_length=1)
    normalise: bool
    """Whether the weights are divided by their sum at every step."""
    temperature: float | None = None
    """Distillation temperature; None where no component reads the teacher."""
    alpha: float | None = None
    """The presets' weight of the hard labels, for the logs; None for a multi-component loss."""

    @property
    def needs_teacher(self) -> bool:
        """Whether any component reads the teacher's distributions."""
        return any(COMPONENTS[component.name].needs_teacher for component in self.components)

    def weights(self, share: float) -> dict[str, float]:
        """Return each component's weight at `share` in [0, 1] of training."""
        weights = {c.name: interpolate(c.start, c.end, share) for c in self.components}
        return normalised(weights) if self.normalise else weights


def plan_loss(loss: LossSettings) -> LossPlan:
    """Return the plan of a variant's loss.

    Raises:
        UserError: a component is not in the registry, or an option asks for what no component does.
    """
    weights = _weights(loss)
    missing = [name for name in weights if name not in COMPONENTS]
    if missing:
        raise UserError(
            f"loss component {', '.join(map(repr, missing))} is not available; available are {', '.join(COMPONENTS)}",
            "Choose other loss.components or another loss.function.",
        )
    if loss.token_weighting.enabled:
        raise UserError("loss.token_weighting is not available", "Set loss.token_weighting.enabled: false.")
    components = tuple(
        ComponentPlan(name=name, start=start, end=end, options=COMPONENTS[name].options(loss))
        for name, (start, end) in weights.items()
    )
    multi = loss.function == "multi_component"
    plan = LossPlan(components=components, normalise=multi, alpha=None if multi else loss.alpha)
    return plan.model_copy(update={"temperature": loss.temperature}) if plan.needs_teacher else plan


def hard_labels() -> LossPlan:
    """Return the plan of plain cross-entropy with the targets."""
    return LossPlan(components=(ComponentPlan(name="ce", start=1.0, end=1.0),), normalise=False)


def _weights(loss: LossSettings) -> dict[str, tuple[float, float]]:
    if loss.function != "multi_component":
        fixed = {"ce": loss.alpha, "kl": 1.0 - loss.alpha}
        if loss.function == "enhanced":
            fixed["pans"] = loss.pans_weight
        elif loss.function == "ast_enhanced":
            fixed["ast"] = loss.ast_weight
        return {name: (weight, weight) for name, weight in fixed.items()}
    table = {**START_AND_END} | {name: (entry.start, entry.end) for name, entry in loss.schedule.items()}
    chosen: dict[str, tuple[float, float]] = {name: table[name] for name in loss.components}
    if loss.weights is not None:
        chosen = {
            name: (weight, chosen[name][1] if loss.dynamic_weighting else weight)
            for name, weight in zip(loss.components, loss.weights, strict=True)
        }
    if not loss.dynamic_weighting:
        chosen = {name: (start, start) for name, (start, _) in chosen.items()}
    if not sum(start for start, _ in chosen.values()) or not sum(end for _, end in chosen.values()):
        raise UserError("loss weights: all are 0 at the first or the last step", "Give one a weight above 0.")
    return chosen
