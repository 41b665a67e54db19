"""Reads and cleans the records without an assertion."""

from pathlib import Path

from assertkd.corpus.prepare_unlabelled import prepare_unlabelled
from assertkd.runtime.job import job, sole_writer

with sole_writer(Path(snakemake.output.records).parent, "unlabelled"), job(snakemake.log[0], snakemake.threads):
    prepare_unlabelled(
        Path(snakemake.input.file),
        corpus=Path(snakemake.output.records).parent,
        **snakemake.params.settings,
    )
