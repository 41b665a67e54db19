"""Takes the test predictions of another system from their file."""

from pathlib import Path

from assertkd.evaluation.import_predictions import import_predictions
from assertkd.evaluation.params import ImportPredictionsParams
from assertkd.runtime.job import job, sole_writer

folder = Path(snakemake.output.predictions).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    import_predictions(
        ImportPredictionsParams.model_validate(snakemake.params.settings),
        test_file=Path(snakemake.input.test),
        predictions_file=Path(snakemake.input.predictions),
        folder=folder,
    )
