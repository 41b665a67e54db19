"""What `distill_student` uses of a run's settings, and which of the teacher's outputs a variant reads."""

import re
from itertools import compress
from typing import Literal

from pydantic import Field

from assertkd.corpus.targets import Supervision
from assertkd.layout import LogitsLayout
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.settings import RunSettings, StudentModelSettings, TrainingSettings
from assertkd.settings.distillation import OnPolicySettings
from assertkd.settings.section import Section

TEXTS = ("train", "teacher_predictions", "unlabelled_predictions")
"""The texts that students learn, each named as its file: gold assertions, and the teacher's predictions on the same
records and on those without an assertion."""
GOLD, PREDICTED, UNLABELLED = TEXTS


class TargetPolicy(Section):
    """Which targets a student learns."""

    targets: Literal["gold", "teacher", "both"]
    """Of the records whose gold assertion it may use: that assertion, the teacher's prediction, or both."""
    learns_withheld: bool
    """Whether it learns the teacher's prediction where gold is withheld; otherwise it leaves such records out."""
    learns_unlabelled: bool
    """Whether it learns the teacher's predictions on the records without an assertion."""
    needs_distributions: bool
    """Whether its loss reads the teacher's distributions."""

    @property
    def needs_logits(self) -> bool:
        """Whether it reads anything of the teacher's logits or predictions."""
        return self.needs_distributions or self.learns_unlabelled or self.learns_predictions

    @property
    def learns_predictions(self) -> bool:
        """Whether it learns predictions on training records."""
        return self.targets != "gold" or self.learns_withheld

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the logit stores that it reads."""
        read = (True, self.targets != "gold", self.learns_unlabelled)
        return tuple(compress(("train", "train_predictions", "unlabelled"), read)) if self.needs_distributions else ()


class DistillStudentParams(Section):
    """A variant's model, training and loss, and what it learns from."""

    model: StudentModelSettings
    training: TrainingSettings
    loss: LossPlan
    target_policy: TargetPolicy
    supervision: Supervision
    on_policy: OnPolicySettings | None
    """How it learns from its own outputs; null where it does not."""
    validation_encoder: str | None = Field(None, exclude_if=lambda encoder: encoder is None)
    """The encoder of decoded validation samples; null, and no parameter at all, where none are decoded."""

    @classmethod
    def from_run(cls, run: RunSettings, variant: str) -> "DistillStudentParams":
        """Return the params of a variant; options without effect have their defaults.

        Raises:
            UserError: a loss component is unknown, or all weights are 0 at one end of the schedule.
        """
        settings = run.variants[variant]
        loss = plan_loss(settings.loss)
        learns_from_teacher = settings.unlabelled == "teacher"
        return cls(
            model=settings.model.used(),
            training=settings.training.used(),
            loss=loss,
            target_policy=TargetPolicy(
                targets=settings.targets,
                learns_withheld=run.data.labelled_share < 1 and learns_from_teacher,
                learns_unlabelled=run.data.unlabelled is not None and learns_from_teacher,
                needs_distributions=loss.needs_teacher,
            ),
            supervision=Supervision.from_run(run),
            on_policy=settings.on_policy if settings.on_policy.fraction else None,
            validation_encoder=run.evaluation.encoder if settings.training.enhanced_metrics else None,
        )

    @property
    def needs_teacher_model(self) -> bool:
        """Whether the student is made of the teacher's layers, or trained beside the teacher."""
        return self.model.layers is not None or self.keeps_teacher

    @property
    def keeps_teacher(self) -> bool:
        """Whether the teacher runs beside the student, which learns its hidden states or has its outputs scored."""
        return self.loss.hidden is not None or self.on_policy is not None

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders that its loss components embed with, each once."""
        return tuple(dict.fromkeys(c.encoder for c in self.loss.components if c.encoder is not None))

    @property
    def embedded_texts(self) -> tuple[str, ...]:
        """Those of `TEXTS` that it learns."""
        policy = self.target_policy
        learnt = (policy.targets != "teacher", policy.learns_predictions, policy.learns_unlabelled)
        return tuple(compress(TEXTS, learnt))

    def logits_inputs(self, logits: LogitsLayout) -> list[str]:
        """Return the stores and predictions that it reads of a run's logits; none if it learns from gold alone."""
        policy = self.target_policy
        inputs = [logits.store(name) for name in policy.stores]
        if policy.learns_predictions:
            inputs.append(logits.teacher_predictions)
        if policy.learns_unlabelled:
            inputs.append(logits.unlabelled_predictions)
        return [str(path) for path in inputs]


def encoder_slug(encoder: str) -> str:
    """Return an encoder's name, a hub name or folder, as the name of a folder."""
    return re.sub(r"[^\w.-]+", "_", encoder)


class EmbedTargetsParams(Section):
    """The encoder, and which gold assertions students may use."""

    encoder: str
    labelled_share: float
    seed: int

    @classmethod
    def from_run(cls, run: RunSettings, encoder: str, texts: str) -> "EmbedTargetsParams":
        """Return the params for one of `TEXTS`; only of gold assertions a share may be withheld."""
        if texts != GOLD:
            return cls(encoder=encoder, labelled_share=1.0, seed=0)
        supervision = Supervision.from_run(run)
        return cls(encoder=encoder, labelled_share=supervision.labelled_share, seed=supervision.seed)
