"""The command `assertkd memory`."""

import argparse

from assertkd.commands.options import add_run_choice

DESCRIPTION = (
    "Estimates, from the sizes of the models, what each training of a run takes, and prints for GPUs of several sizes "
    "the largest batch_size that fits, with the gradient_accumulation_steps that keep the effective batch."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its options."""
    add_run_choice(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from assertkd.cluster.memory import format_estimates
    from assertkd.cluster.params import CheckCudaParams, run_without_records
    from assertkd.settings.config_file import load_config

    config = load_config(options.configfile)
    run = run_without_records(config, options.run_name or str(config.get("run")))
    for line in format_estimates(CheckCudaParams.from_run(run)):
        print(line)
