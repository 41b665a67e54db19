"""Runs one model's assertions."""

from pathlib import Path

from assertkd.evaluation.execute import execute
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import ExecuteSettings

with sole_writer(Path(snakemake.output.summary).parent, "execution"), job(snakemake.log[0], snakemake.threads):
    execute(
        ExecuteSettings(**snakemake.params.settings["execute"]),
        Path(snakemake.input.predictions),
        Path(snakemake.input.test),
        Path(snakemake.input.gold),
        Path(snakemake.input.gold_summary),
        Path(snakemake.output.runs),
        Path(snakemake.output.summary),
        workers=snakemake.threads,
    )
