"""Reads, cleans and splits the records."""

from pathlib import Path

from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import ModelSettings

folder = Path(snakemake.output.train).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    params = PrepareCorpusParams.model_validate(snakemake.params.settings)
    prepare_corpus(params.data, params.tokenizer, ModelSettings(name=params.teacher), folder)
