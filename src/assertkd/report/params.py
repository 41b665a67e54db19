"""What the rule `build_report` uses of a run's settings."""

from assertkd.settings import ReportSettings, RunSettings
from assertkd.settings.section import Section, Seed


class ComparisonParams(Section):
    """How variants are compared."""

    baseline: str | None
    """The variant that all others are compared with; null where there is none."""
    resamples: int
    """Of the bootstrap."""
    seed: Seed
    """Of the bootstrap."""


class BuildReportParams(Section):
    """The page's settings, and the comparison with the baseline."""

    report: ReportSettings
    comparison: ComparisonParams

    @classmethod
    def from_run(cls, run: RunSettings) -> "BuildReportParams":
        """Return the params of a run."""
        evaluation = run.evaluation
        comparison = ComparisonParams(
            baseline=run.baseline, resamples=evaluation.bootstrap_resamples, seed=evaluation.bootstrap_seed
        )
        return cls(report=run.report, comparison=comparison)
