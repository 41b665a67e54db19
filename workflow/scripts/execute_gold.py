"""Runs the gold assertions of the test split."""

from pathlib import Path

from assertkd.evaluation.execute import execute_gold
from assertkd.evaluation.params import ExecuteGoldParams
from assertkd.runtime.job import job, sole_writer

summary = Path(snakemake.output.summary)

with sole_writer(summary.parent, "gold"), job(snakemake.log[0], snakemake.threads):
    params = ExecuteGoldParams.model_validate(snakemake.params.settings)
    execute_gold(
        params.execute,
        Path(snakemake.input.test),
        params.limit,
        Path(snakemake.output.runs),
        summary,
        workers=snakemake.threads,
    )
