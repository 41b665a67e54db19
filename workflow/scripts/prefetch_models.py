"""Fetches and verifies all that the run takes from the hub."""

from assertkd.models.prefetch import prefetch_models
from assertkd.runtime.job import job

with job(snakemake.log[0], snakemake.threads):
    prefetch_models(**snakemake.params.settings)
