"""Lets the teacher predict for the records without an assertion, and writes down what it knows along that."""

from pathlib import Path

from assertkd.logits.compress_predictions import compress_unlabelled
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import LogitsSettings

with sole_writer(Path(snakemake.output.predictions).parent, "unlabelled"), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    compress_unlabelled(
        LogitsSettings(**settings["logits"]),
        **settings["limits"],
        teacher=Path(snakemake.input.model),
        records_file=Path(snakemake.input.records),
        folder=Path(snakemake.output.predictions).parent,
        temperatures=settings.get("temperatures", ()),
    )
