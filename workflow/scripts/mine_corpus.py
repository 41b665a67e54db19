"""Mines records from Java projects."""

from pathlib import Path

from assertkd.corpus.mine.mine_corpus import mine_corpus
from assertkd.corpus.params import MineCorpusParams
from assertkd.runtime.job import job, sole_writer

records = Path(snakemake.output.records)

with sole_writer(records.parent), job(snakemake.log[0], snakemake.threads):
    params = MineCorpusParams.model_validate(snakemake.params.settings)
    mine_corpus(params, records, Path(snakemake.output.counts), workers=snakemake.threads)
