"""Trains the teacher's model on Java sources."""

from pathlib import Path

from assertkd.runtime.job import job, sole_writer
from assertkd.teacher.params import PretrainParams
from assertkd.teacher.train_teacher import pretrain

folder = Path(snakemake.output.report).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads, snakemake.params.settings, "pretrain"):
    pretrain(
        PretrainParams.model_validate(snakemake.params.settings),
        corpus=Path(snakemake.input.records).parent,
        folder=folder,
        config=snakemake.config,
    )
