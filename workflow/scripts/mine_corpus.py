"""Mines records from Java projects."""

from pathlib import Path

from assertkd.corpus.mine import mine_corpus
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import MiningSettings

with sole_writer(Path(snakemake.output.records).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    mine_corpus(
        MiningSettings(**settings["mining"]),
        settings["max_characters"],
        [Path(folder) for folder in settings["java_sources"]],
        Path(snakemake.output.records),
        Path(snakemake.output.counts),
        workers=snakemake.threads,
    )
