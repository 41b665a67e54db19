"""Reads and cleans the records without an assertion."""

from pathlib import Path

from assertkd.corpus.params import PrepareUnlabelledParams
from assertkd.corpus.prepare_unlabelled import prepare_unlabelled
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.records).parent

with sole_writer(folder, "unlabelled"), job(snakemake.log[0], snakemake.threads):
    params = PrepareUnlabelledParams.model_validate(snakemake.params.settings)
    prepare_unlabelled(params, Path(snakemake.input.file), corpus=folder)
