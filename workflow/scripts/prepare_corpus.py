"""Reads, cleans and splits the records."""

from pathlib import Path

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.train).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    prepare_corpus(PrepareCorpusParams.model_validate(snakemake.params.settings), folder)
