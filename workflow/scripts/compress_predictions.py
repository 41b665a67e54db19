"""Writes down what the teacher knows along its own predictions on the training records."""

from pathlib import Path

from assertkd.corpus.targets import Supervision
from assertkd.logits.compress_predictions import compress_predictions
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import LogitsSettings

with sole_writer(Path(snakemake.output.store).parent, "train_predictions"), job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    compress_predictions(
        LogitsSettings(**settings["logits"]),
        Supervision(**settings["supervision"]),
        teacher=Path(snakemake.input.model),
        records_file=Path(snakemake.input.train),
        predictions_file=Path(snakemake.input.predictions),
        folder=Path(snakemake.output.store),
        temperatures=settings.get("temperatures", ()),
    )
