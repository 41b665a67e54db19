"""Scores one model's predictions."""

from pathlib import Path

from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.score import score
from assertkd.models.encoders import TextEncoder
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.summary).parent

with sole_writer(folder), job(snakemake.log[0], 1):
    params = ScoreParams.model_validate(snakemake.params.settings)
    score(
        Path(snakemake.input.predictions),
        Path(snakemake.input.teacher[0]).parent if snakemake.input.teacher else None,
        folder,
        execution_file=Path(snakemake.input.execution[0]) if snakemake.input.execution else None,
        encoder=TextEncoder(params.encoder),
        processes=snakemake.threads,
        example_seconds=params.example_seconds,
        resamples=params.bootstrap_resamples,
        seed=params.bootstrap_seed,
    )
