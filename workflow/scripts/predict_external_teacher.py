"""Takes over the test predictions of a teacher that ran elsewhere."""

from pathlib import Path

from assertkd.evaluation.predict_external_teacher import predict_external_teacher
from assertkd.runtime.job import job, sole_writer

with sole_writer(Path(snakemake.output.predictions).parent), job(snakemake.log[0], snakemake.threads):
    predict_external_teacher(
        Path(snakemake.input.test),
        Path(snakemake.input.teacher),
        snakemake.params.settings["limit"],
        folder=Path(snakemake.output.predictions).parent,
    )
