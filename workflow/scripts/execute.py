"""Runs one model's assertions."""

from pathlib import Path

from assertkd.evaluation.execute import execute
from assertkd.evaluation.params import ExecuteParams
from assertkd.runtime.job import job, sole_writer

summary = Path(snakemake.output.summary)

with sole_writer(summary.parent, "execution"), job(snakemake.log[0], snakemake.threads):
    execute(
        ExecuteParams.model_validate(snakemake.params.settings).execute,
        Path(snakemake.input.predictions),
        Path(snakemake.input.test),
        Path(snakemake.input.gold),
        Path(snakemake.input.gold_summary),
        Path(snakemake.output.runs),
        summary,
        workers=snakemake.threads,
    )
