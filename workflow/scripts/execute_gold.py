"""Runs the gold assertions of the test split."""

from pathlib import Path

from assertkd.evaluation.execute import execute_gold
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import ExecuteSettings

with sole_writer(Path(snakemake.output.summary).parent, "gold"), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    execute_gold(
        ExecuteSettings(**settings["execute"]),
        Path(snakemake.input.test),
        settings["limit"],
        Path(snakemake.output.runs),
        Path(snakemake.output.summary),
        workers=snakemake.threads,
    )
