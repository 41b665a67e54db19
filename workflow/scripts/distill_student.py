"""Distils one student."""

from pathlib import Path

from assertkd.corpus.targets import Supervision
from assertkd.runtime.job import job, sole_writer
from assertkd.students.distill_student import Student, distill_student

with sole_writer(Path(snakemake.output.report).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    distill_student(
        Student.from_params(settings, int(snakemake.wildcards.seed)),
        Supervision(**settings["supervision"]),
        corpus=Path(snakemake.input.train).parent,
        logits=Path(snakemake.input.logits[0]).parent if snakemake.input.logits else None,
        embeddings=Path("results") / snakemake.wildcards.run / "embeddings",
        folder=Path(snakemake.output.report).parent,
        teacher=Path(snakemake.input.teacher[0]) if snakemake.input.teacher else None,
        checkpoints=Path(snakemake.params.checkpoints),
        config=snakemake.config,
    )
