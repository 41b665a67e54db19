"""Cuts gaps into methods of Java projects."""

from pathlib import Path

from assertkd.corpus.params import PreparePretrainingParams
from assertkd.corpus.prepare_pretraining import prepare_pretraining
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.records).parent

with sole_writer(folder, "pretraining"), job(snakemake.log[0], snakemake.threads):
    params = PreparePretrainingParams.model_validate(snakemake.params.settings)
    prepare_pretraining(params, corpus=folder, workers=snakemake.threads)
