"""Stores the logits of an external teacher."""

from pathlib import Path

from assertkd.logits.import_logits import import_logits
from assertkd.logits.params import ImportLogitsParams
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    import_logits(
        ImportLogitsParams.model_validate(snakemake.params.settings),
        files=[Path(file) for file in snakemake.input.files],
        corpus=Path(snakemake.input.train).parent,
        folder=folder,
    )
