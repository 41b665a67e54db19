"""Fetches and verifies all that the run takes from the hub."""

from assertkd.cluster.params import PrefetchModelsParams
from assertkd.models.prefetch_models import prefetch_models
from assertkd.runtime.job import job

with job(snakemake.log[0], snakemake.threads):
    params = PrefetchModelsParams.model_validate(snakemake.params.settings)
    prefetch_models(params.models, params.tokenizers, params.encoders)
