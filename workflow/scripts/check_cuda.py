"""Prints what the GPUs are, and whether the run fits on them."""

from pathlib import Path

from assertkd.cluster.cuda import account_of
from assertkd.cluster.memory import training_memory
from assertkd.runtime.job import job
from assertkd.settings import ModelSettings, TrainingSettings

with job(snakemake.log[0], snakemake.threads):
    settings = snakemake.params.settings
    trainings = {
        name: (
            one["model"]["name"],
            one["training"]["precision"],
            training_memory(ModelSettings(**one["model"]), TrainingSettings(**one["training"]), **settings["limits"]),
        )
        for name, one in settings["trainings"].items()
    }
    print(account_of(Path(snakemake.input.figures), trainings))
