"""Writes the leaderboard and the page."""

from pathlib import Path

from assertkd.job import job
from assertkd.report.build import build_report
from assertkd.settings import ReportSettings

with job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    build_report(
        ReportSettings(**settings["report"]),
        list(snakemake.params.models),
        list(snakemake.params.trained),
        run_folder=Path(snakemake.input.quality).parents[1],
        folder=Path(snakemake.output.page).parent,
        **settings["comparison"],
        fidelity=[Path(file) for file in snakemake.input.fidelity],
    )
