"""Measures the GPUs that a job is given."""

from pathlib import Path

from assertkd.cluster.cuda import measure_cuda
from assertkd.runtime.job import job

with job(snakemake.log[0], snakemake.threads):
    measure_cuda(Path(snakemake.output.figures))
