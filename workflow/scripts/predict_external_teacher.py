"""Takes the test predictions of an external teacher."""

from pathlib import Path

from assertkd.evaluation.params import PredictExternalTeacherParams
from assertkd.evaluation.predict_external_teacher import predict_external_teacher
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    params = PredictExternalTeacherParams.model_validate(snakemake.params.settings)
    predict_external_teacher(Path(snakemake.input.test), Path(snakemake.input.teacher), params.limit, folder=folder)
