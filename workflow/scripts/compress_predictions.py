"""Stores the teacher's logits along its own predictions on the training records."""

from pathlib import Path

from assertkd.logits.compress_predictions import compress_predictions
from assertkd.logits.params import CompressPredictionsParams
from assertkd.runtime.job import job, sole_writer

store = Path(snakemake.output.store)

with sole_writer(store.parent, store.name), job(snakemake.log[0], snakemake.threads, snakemake.params.settings):
    compress_predictions(
        CompressPredictionsParams.model_validate(snakemake.params.settings),
        teacher=Path(snakemake.input.model),
        records_file=Path(snakemake.input.train),
        predictions_file=Path(snakemake.input.predictions),
        folder=store,
    )
