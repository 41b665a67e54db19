"""Stores the teacher's predictions for the records without an assertion, and its logits along them."""

from pathlib import Path

from assertkd.logits.compress_unlabelled import compress_unlabelled
from assertkd.logits.params import CompressUnlabelledParams
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder, "unlabelled"), job(snakemake.log[0], snakemake.threads, snakemake.params.settings):
    compress_unlabelled(
        CompressUnlabelledParams.model_validate(snakemake.params.settings),
        teacher=Path(snakemake.input.model),
        records_file=Path(snakemake.input.records),
        folder=folder,
    )
