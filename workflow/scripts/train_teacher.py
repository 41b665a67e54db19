"""Fine-tunes the teacher."""

from pathlib import Path

from assertkd.runtime.job import job, sole_writer
from assertkd.settings import TeacherModelSettings, TeacherSettings, TrainingSettings
from assertkd.teacher.train_teacher import train_teacher

with sole_writer(Path(snakemake.output.report).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    train_teacher(
        TeacherSettings(
            model=TeacherModelSettings(**settings["model"]),
            training=TrainingSettings(**settings["training"]),
            seed=settings["seed"],
        ),
        **settings["limits"],
        corpus=Path(snakemake.input.train).parent,
        folder=Path(snakemake.output.report).parent,
        checkpoints=Path(snakemake.params.checkpoints),
        config=snakemake.config,
    )
