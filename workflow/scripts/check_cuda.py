"""Prints what the GPUs are, and whether the run fits on them."""

from pathlib import Path

from assertkd.cluster.cuda import check_cuda
from assertkd.cluster.memory import training_memory
from assertkd.cluster.params import CheckCudaParams
from assertkd.runtime.job import job

with job(snakemake.log[0], snakemake.threads):
    params = CheckCudaParams.model_validate(snakemake.params.settings)
    sizes = params.max_input_len, params.max_output_len, params.vocab_size
    trainings = {
        name: (one.model.name, one.training.precision, training_memory(one.model, one.training, *sizes))
        for name, one in params.trainings.items()
    }
    print(check_cuda(Path(snakemake.input.figures), trainings))
