"""Scores one model's predictions."""

from pathlib import Path

from assertkd.evaluation.score import score
from assertkd.job import job

with job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    score(
        Path(snakemake.input.predictions),
        Path(snakemake.input.teacher[0]) if snakemake.input.teacher else None,
        Path(snakemake.output.summary).parent,
        measured_file=Path(snakemake.input.measured),
        resamples=settings["bootstrap_resamples"],
        seed=settings["bootstrap_seed"],
    )
