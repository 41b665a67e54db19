"""Runs the gold assertions of the test split."""

from pathlib import Path

from assertkd.evaluation.execute import execute_gold
from assertkd.evaluation.params import ExecuteGoldParams
from assertkd.runtime.job import job, sole_writer

summary = Path(snakemake.output.summary)

with sole_writer(summary.parent, "gold"), job(snakemake.log[0], snakemake.threads):
    execute_gold(
        ExecuteGoldParams.model_validate(snakemake.params.settings),
        test_file=Path(snakemake.input.test),
        output=Path(snakemake.output.runs),
        summary_file=summary,
        workers=snakemake.threads,
    )
