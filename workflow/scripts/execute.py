"""Runs one model's assertions."""

from pathlib import Path

from assertkd.evaluation.execute import execute
from assertkd.evaluation.params import ExecuteParams
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.summary).parent

with sole_writer(folder, "execution"), job(snakemake.log[0], snakemake.threads):
    execute(
        ExecuteParams.model_validate(snakemake.params.settings),
        test_file=Path(snakemake.input.test),
        gold_file=Path(snakemake.input.gold),
        gold_summary_file=Path(snakemake.input.gold_summary),
        folder=folder,
        workers=snakemake.threads,
    )
