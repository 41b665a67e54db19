"""Stores the teacher's logits along the targets of every split."""

from pathlib import Path

from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.params import CompressLogitsParams
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads, snakemake.params.settings):
    compress_logits(
        CompressLogitsParams.model_validate(snakemake.params.settings),
        teacher=Path(snakemake.input.model),
        corpus=Path(snakemake.input.train).parent,
        folder=folder,
    )
