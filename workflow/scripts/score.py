"""Scores one model's predictions."""

from pathlib import Path

from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.score import score
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.summary).parent

with sole_writer(folder), job(snakemake.log[0], 1):
    score(
        ScoreParams.model_validate(snakemake.params.settings),
        predictions_file=Path(snakemake.input.predictions),
        teacher_folder=Path(snakemake.input.teacher[0]).parent if snakemake.input.teacher else None,
        folder=folder,
        execution_file=Path(snakemake.input.execution[0]) if snakemake.input.execution else None,
        processes=snakemake.threads,
    )
