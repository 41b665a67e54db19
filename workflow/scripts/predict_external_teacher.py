"""Takes the test predictions of an external teacher."""

from pathlib import Path

from assertkd.evaluation.params import PredictExternalTeacherParams
from assertkd.evaluation.predict_external_teacher import predict_external_teacher
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    predict_external_teacher(
        PredictExternalTeacherParams.model_validate(snakemake.params.settings),
        test_file=Path(snakemake.input.test),
        predictions_file=Path(snakemake.input.teacher),
        folder=folder,
    )
