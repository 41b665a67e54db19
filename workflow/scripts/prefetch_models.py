"""Fetches and verifies all that the run takes from the hub."""

from assertkd.job import job
from assertkd.models.prefetch import prefetch_models

with job(snakemake.log[0], snakemake.threads):
    prefetch_models(**snakemake.params.settings)
