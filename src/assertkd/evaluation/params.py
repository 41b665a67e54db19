"""What the rules of the evaluation use of a run's settings."""

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


class PredictExternalTeacherParams(Section):
    """How many test records are used."""

    limit: int | None

    @classmethod
    def from_run(cls, run: RunSettings) -> "PredictExternalTeacherParams":
        """Return the params of a run."""
        return cls(limit=run.evaluation.limit)


class ExecuteGoldParams(Section):
    """How assertions are executed, and of how many test records."""

    execute: ExecuteSettings
    limit: int | None

    @classmethod
    def from_run(cls, run: RunSettings) -> "ExecuteGoldParams":
        """Return the params of a run."""
        return cls(execute=run.evaluation.execute, limit=run.evaluation.limit)


class ExecuteParams(Section):
    """How assertions are executed."""

    execute: ExecuteSettings

    @classmethod
    def from_run(cls, run: RunSettings) -> "ExecuteParams":
        """Return the params of a run."""
        return cls(execute=run.evaluation.execute)


class ScoreParams(Section):
    """The encoder and the time limit of the metrics, and how intervals are resampled."""

    encoder: str
    example_seconds: float
    bootstrap_resamples: int
    bootstrap_seed: Seed

    @classmethod
    def from_run(cls, run: RunSettings) -> "ScoreParams":
        """Return the params of a run."""
        return cls(**run.evaluation.model_dump(include=set(cls.model_fields)))
