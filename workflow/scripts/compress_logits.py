"""Writes down what the teacher knows."""

from pathlib import Path

from assertkd.corpus.targets import Supervision
from assertkd.logits.compress_logits import compress_logits
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import LogitsSettings

with sole_writer(Path(snakemake.output.predictions).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    compress_logits(
        LogitsSettings(**settings["logits"]),
        Supervision(**settings["supervision"]),
        teacher=Path(snakemake.input.model),
        corpus=Path(snakemake.input.train).parent,
        folder=Path(snakemake.output.predictions).parent,
        temperatures=settings.get("temperatures", ()),
    )
