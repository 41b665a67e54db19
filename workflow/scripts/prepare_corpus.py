"""Reads, cleans and splits the records."""

from pathlib import Path

from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import DataSettings, ModelSettings, TokenizerSettings

with sole_writer(Path(snakemake.output.train).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    prepare_corpus(
        DataSettings(**settings["data"]),
        TokenizerSettings(**settings["tokenizer"]),
        ModelSettings(name=settings["teacher"]),
        Path(snakemake.output.train).parent,
    )
