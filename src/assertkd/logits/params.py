"""What the rules of the logits use of a run's settings."""

from dataclasses import replace
from typing import ClassVar, Self

from assertkd.corpus.targets import Supervision
from assertkd.losses.loss_plan import plan_loss
from assertkd.settings import LogitsSettings, RunSettings
from assertkd.settings.logits import ServedModelSettings
from assertkd.settings.section import Section


class LogitsParams(Section):
    """The codec with its options, the teacher's pass, and the definition of the targets."""

    logits: LogitsSettings
    temperatures: tuple[float, ...]
    """Those that `topk` keeps the tail's mass at, beside 1: the evaluation's, and those of the variants that learn from
    the teacher's distributions. The other codecs are good for every temperature."""
    supervision: Supervision

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset()
    """Options of the logits that the rule does not use."""

    @classmethod
    def from_run(cls, run: RunSettings) -> Self:
        """Return the params of a run; options without effect have their defaults."""
        settings = run.logits.with_defaults({"hidden", "topk", "server", *cls.WITHOUT_EFFECT} - {run.logits.codec})
        temperatures = set[float]()
        if settings.codec == "topk":
            learnt = [plan_loss(variant.loss).temperature for variant in run.variants.values()]
            temperatures = {1.0, run.evaluation.eval_temperature, *(one for one in learnt if one is not None)}
        return cls(logits=settings, temperatures=tuple(sorted(temperatures)), supervision=Supervision.from_run(run))


class CompressLogitsParams(LogitsParams):
    """The params of `compress_logits`."""


class CompressPredictionsParams(LogitsParams):
    """The params of `compress_predictions`: nothing is predicted, and no fidelity is measured."""

    WITHOUT_EFFECT = frozenset({"num_beams", "fidelity"})


class CaptureLogitsParams(Section):
    """The params of `capture_logits`: what the server is asked for, and the definition of the targets."""

    served_model: ServedModelSettings
    supervision: Supervision

    @classmethod
    def from_run(cls, run: RunSettings) -> Self:
        """Return the params of a run."""
        return cls(served_model=run.logits.server.served_model, supervision=Supervision.from_run(run))


class ImportLogitsParams(LogitsParams):
    """The params of `import_logits`: no teacher runs."""

    WITHOUT_EFFECT = frozenset({"batch_size", "num_beams", "precision", "device"})


class CompressUnlabelledParams(LogitsParams):
    """The params of `compress_unlabelled`: all targets are predictions, and no fidelity is measured."""

    WITHOUT_EFFECT = frozenset({"fidelity"})

    @classmethod
    def from_run(cls, run: RunSettings) -> Self:
        """Return the params of a run; options without effect have their defaults, among them the labelled share."""
        params = super().from_run(run)
        return params.model_copy(update={"supervision": replace(params.supervision, labelled_share=1.0, seed=0)})
