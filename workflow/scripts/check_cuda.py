"""Prints what the GPUs are, and whether the run fits on them."""

from pathlib import Path

from assertkd.cluster.cuda import check_cuda
from assertkd.cluster.params import CheckCudaParams
from assertkd.runtime.job import job

with job(snakemake.log[0], snakemake.threads):
    params = CheckCudaParams.model_validate(snakemake.params.settings)
    print(check_cuda(params, Path(snakemake.input.figures)))
