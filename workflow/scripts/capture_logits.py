"""Asks a running server what it knows about the targets of every split."""

from pathlib import Path

from assertkd.logits.capture_logits import capture_logits
from assertkd.logits.params import CaptureLogitsParams
from assertkd.runtime.job import job, sole_writer
from assertkd.settings import load_run

folder = Path(snakemake.output.train).parent

with sole_writer(folder), job(snakemake.log[0], snakemake.threads):
    capture_logits(
        CaptureLogitsParams.model_validate(snakemake.params.settings),
        load_run(snakemake.config).logits.server,
        corpus=Path(snakemake.input.train).parent,
        folder=folder,
    )
