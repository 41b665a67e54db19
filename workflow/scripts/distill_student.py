"""Distils one student."""

from pathlib import Path

from assertkd.runtime.job import job, sole_writer
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams

folder = Path(snakemake.output.report).parent
variant = f"variants.{snakemake.wildcards.variant}"

with sole_writer(folder), job(snakemake.log[0], snakemake.threads, snakemake.params.settings, variant):
    distill_student(
        DistillStudentParams.model_validate(snakemake.params.settings),
        int(snakemake.wildcards.seed),
        corpus=Path(snakemake.input.train).parent,
        logits=Path(snakemake.input.logits[0]).parent if snakemake.input.logits else None,
        embeddings=[Path(file) for file in snakemake.input.embeddings],
        folder=folder,
        teacher=Path(snakemake.input.teacher[0]) if snakemake.input.teacher else None,
        config=snakemake.config,
    )
