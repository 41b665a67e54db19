"""Lets one model write its assertions for the test split."""

from pathlib import Path

from assertkd.evaluation.predict import predict
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import EvaluationSettings

with sole_writer(Path(snakemake.output.predictions).parent), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    predict(
        EvaluationSettings(**settings["evaluation"]),
        **settings["limits"],
        model_folder=Path(snakemake.input.model),
        test_file=Path(snakemake.input.test),
        teacher_logits=Path(snakemake.input.logits[0]) if snakemake.input.logits else None,
        folder=Path(snakemake.output.predictions).parent,
    )
