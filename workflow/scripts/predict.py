"""Lets one model write its assertions for the test split."""

from pathlib import Path

from assertkd.evaluation.params import PredictParams
from assertkd.evaluation.predict import predict
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

# The rule takes every core, so that no other job is beside this one while it measures; the model gets one thread.
with sole_writer(folder), job(snakemake.log[0], 1, snakemake.params.settings):
    predict(
        PredictParams.model_validate(snakemake.params.settings),
        model_folder=Path(snakemake.input.model),
        test_file=Path(snakemake.input.test),
        teacher_logits=Path(snakemake.input.logits[0]) if snakemake.input.logits else None,
        folder=folder,
    )
