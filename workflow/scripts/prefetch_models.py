"""Fetches and verifies all that the run takes from the hub."""

from assertkd.cluster.params import PrefetchModelsParams
from assertkd.cluster.prefetch_models import prefetch_models
from assertkd.runtime.job import job

with job(snakemake.log[0], snakemake.threads):
    prefetch_models(PrefetchModelsParams.model_validate(snakemake.params.settings))
