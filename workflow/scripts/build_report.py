"""Writes leaderboard, comparison, figures and page."""

from pathlib import Path

from assertkd.report.build_report import ComparisonSettings, build_report
from assertkd.report.results import models_of
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import ReportSettings

with sole_writer(Path(snakemake.output.page).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    build_report(
        ReportSettings(**settings["report"]),
        ComparisonSettings(**settings["comparison"]),
        models_of(snakemake.params.models, snakemake.params.trained, Path(snakemake.input.quality).parents[1]),
        folder=Path(snakemake.output.page).parent,
        fidelity=next(map(Path, snakemake.input.fidelity), None),
        unlabelled=next(map(Path, snakemake.input.unlabelled), None),
    )
