"""Writes leaderboard, comparison, figures and page."""

from pathlib import Path

from assertkd.report.build_report import build_report
from assertkd.report.params import BuildReportParams
from assertkd.report.results import models_of
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.page).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    params = BuildReportParams.model_validate(snakemake.params.settings)
    build_report(
        params.report,
        params.comparison,
        models_of(snakemake.params.models, snakemake.params.trained, folder.parent),
        folder=folder,
        fidelity=Path(snakemake.input.fidelity),
        counts=[*map(Path, snakemake.input.counts)],
    )
