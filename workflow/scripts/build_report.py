"""Writes the leaderboard and the page."""

from pathlib import Path

from assertkd.job import job
from assertkd.report.build import build_report
from assertkd.settings import ReportSettings

with job(snakemake.log[0], snakemake.threads):
    build_report(
        ReportSettings(**snakemake.params.settings),
        list(snakemake.params.models),
        list(snakemake.params.trained),
        run_folder=Path(snakemake.input.quality).parents[1],
        folder=Path(snakemake.output.page).parent,
        fidelity=[Path(file) for file in snakemake.input.fidelity],
    )
