"""Scores one model's predictions."""

from pathlib import Path

from assertkd.evaluation.score import score
from assertkd.models.encoders import TextEncoder
from assertkd.runtime.job import job, sole_writer

with sole_writer(Path(snakemake.output.summary).parent), job(snakemake.log[0], 1):
    settings = snakemake.params.settings
    score(
        Path(snakemake.input.predictions),
        Path(snakemake.input.teacher[0]).parent if snakemake.input.teacher else None,
        Path(snakemake.output.summary).parent,
        execution_file=Path(snakemake.input.execution[0]) if snakemake.input.execution else None,
        encoder=TextEncoder(settings["encoder"]),
        processes=snakemake.threads,
        example_seconds=settings["example_seconds"],
        resamples=settings["bootstrap_resamples"],
        seed=settings["bootstrap_seed"],
    )
