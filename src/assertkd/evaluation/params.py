"""What the rules of the evaluation use of a run's settings."""

from typing import Self

from assertkd.corpus.params import Reading
from assertkd.settings import EvaluationSettings, ExecuteSettings, RunSettings
from assertkd.settings.section import Section, Seed

DECODING = {"limit", "batch_size", "num_beams", "device"}


class PredictParams(Section):
    """How a model decodes; for a student, also the temperature of its divergence from the teacher."""

    evaluation: EvaluationSettings
    max_input_len: int
    max_output_len: int

    @classmethod
    def from_run(cls, run: RunSettings, *, is_student: bool) -> "PredictParams":
        """Return the params of a run; options without effect have their defaults."""
        with_effect = DECODING | ({"eval_temperature"} if is_student else set())
        return cls(
            evaluation=run.evaluation.with_defaults(set(EvaluationSettings.model_fields) - with_effect),
            max_input_len=run.data.max_input_len,
            max_output_len=run.data.max_output_len,
        )


class EvaluationParams(Section):
    """Some of the options of `evaluation`, under their names."""

    @classmethod
    def from_run(cls, run: RunSettings) -> Self:
        """Return the params of a run."""
        return cls.of(run.evaluation)

    @classmethod
    def of(cls, evaluation: EvaluationSettings) -> Self:
        """Return the params of these options."""
        return cls(**evaluation.model_dump(include=set(cls.model_fields)))


class EvaluateParams(Section):
    """How `evaluate` works, which belongs to no run; `baseline`, `external` and `nearest_record` have no effect."""

    evaluation: EvaluationSettings = EvaluationSettings()
    reading: Reading = Reading()
    max_input_len: int | None = None
    """None for what each model was trained for, as for outputs."""
    max_output_len: int | None = None


class PredictExternalTeacherParams(EvaluationParams):
    """How many test records are used."""

    limit: int | None = None


class FindNearestRecordParams(EvaluationParams):
    """How many test records are used."""

    limit: int | None = None


class ImportPredictionsParams(EvaluationParams):
    """How many test records are used."""

    limit: int | None = None


class ExecuteParams(EvaluationParams):
    """How assertions are executed."""

    execute: ExecuteSettings = ExecuteSettings()


class ExecuteGoldParams(ExecuteParams):
    """How assertions are executed, and of how many test records."""

    limit: int | None = None


class ScoreParams(EvaluationParams):
    """The encoder and the time limit of the metrics, and how intervals are resampled."""

    encoder: str | None
    """None leaves out the metrics that embed their texts, and those derived from them."""
    example_seconds: float = 10.0
    bootstrap_resamples: int = 10_000
    bootstrap_seed: Seed = 42
