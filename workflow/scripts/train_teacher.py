"""Fine-tunes the teacher."""

from pathlib import Path

from assertkd.runtime.job import job, sole_writer
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher

folder = Path(snakemake.output.report).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads, snakemake.params.settings, "teacher"):
    train_teacher(
        TrainTeacherParams.model_validate(snakemake.params.settings),
        corpus=Path(snakemake.input.train).parent,
        folder=folder,
        config=snakemake.config,
        pretrained=next(map(Path, snakemake.input.pretrained), None),
    )
