"""Takes for each test record the assertion of the most similar training record."""

from pathlib import Path

from assertkd.evaluation.find_nearest_record import find_nearest_record
from assertkd.evaluation.params import FindNearestRecordParams
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    find_nearest_record(
        FindNearestRecordParams.model_validate(snakemake.params.settings),
        train_file=Path(snakemake.input.train),
        test_file=Path(snakemake.input.test),
        folder=folder,
    )
