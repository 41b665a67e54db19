"""What the rules of the logits use of a run's settings."""

from assertkd.corpus.targets import Supervision
from assertkd.losses.loss_plan import plan_loss
from assertkd.settings import LogitsSettings, RunSettings
from assertkd.settings.section import Section

PREDICTION = {"num_beams"}
FIDELITY = {"fidelity"}
TEACHER_PASS = {"batch_size", "num_beams", "device", "fidelity"}


def _codec(run: RunSettings, *without_effect: str) -> tuple[LogitsSettings, tuple[float, ...]]:
    """Return the logits' settings, and the temperatures that the codec `topk` keeps the tail's mass at.

    These are the evaluation's, and those of the variants that learn from the teacher's distributions.
    """
    settings = run.logits.with_defaults({"hidden", "topk", *without_effect} - {run.logits.codec})
    if settings.codec != "topk":
        return settings, ()
    plans = [plan_loss(variant.loss) for variant in run.variants.values()]
    learnt = {plan.temperature for plan in plans if plan.temperature is not None}
    return settings, tuple(sorted({1.0, run.evaluation.eval_temperature, *learnt}))


class LogitsParams(Section):
    """The codec with its options, the teacher's pass, and the definition of the targets."""

    logits: LogitsSettings
    temperatures: tuple[float, ...]
    """Those that `topk` keeps the tail's mass at, beside 1."""
    supervision: Supervision


class CompressLogitsParams(LogitsParams):
    """The params of `compress_logits`."""

    @classmethod
    def from_run(cls, run: RunSettings) -> "CompressLogitsParams":
        """Return the params of a run; options without effect have their defaults."""
        logits, temperatures = _codec(run)
        return cls(logits=logits, temperatures=temperatures, supervision=Supervision.from_run(run))


class CompressPredictionsParams(LogitsParams):
    """The params of `compress_predictions`: nothing is predicted, and no fidelity is measured."""

    @classmethod
    def from_run(cls, run: RunSettings) -> "CompressPredictionsParams":
        """Return the params of a run; options without effect have their defaults."""
        logits, temperatures = _codec(run, *PREDICTION, *FIDELITY)
        return cls(logits=logits, temperatures=temperatures, supervision=Supervision.from_run(run))


class ImportLogitsParams(LogitsParams):
    """The params of `import_logits`: no teacher runs."""

    @classmethod
    def from_run(cls, run: RunSettings) -> "ImportLogitsParams":
        """Return the params of a run; options without effect have their defaults."""
        logits, temperatures = _codec(run, *TEACHER_PASS)
        return cls(logits=logits, temperatures=temperatures, supervision=Supervision.from_run(run))


class CompressUnlabelledParams(Section):
    """The params of `compress_unlabelled`: all targets are predictions, and no fidelity is measured."""

    logits: LogitsSettings
    temperatures: tuple[float, ...]
    max_input_len: int
    max_output_len: int

    @classmethod
    def from_run(cls, run: RunSettings) -> "CompressUnlabelledParams":
        """Return the params of a run; options without effect have their defaults."""
        logits, temperatures = _codec(run, *FIDELITY)
        data = run.data
        return cls(
            logits=logits,
            temperatures=temperatures,
            max_input_len=data.max_input_len,
            max_output_len=data.max_output_len,
        )
