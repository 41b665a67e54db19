"""The command `assertkd memory`."""

import argparse
from pathlib import Path

DESCRIPTION = (
    "Estimates, from the sizes of the models, what each training of a run takes, and prints for GPUs of several sizes "
    "the largest batch_size that fits, with the gradient_accumulation_steps that keep the effective batch."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its options."""
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    parser.add_argument(
        "--run", dest="run_name", metavar="RUN", help="entry of `runs` (default: the one that the config names)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from assertkd.cluster.memory import format_estimates
    from assertkd.cluster.params import CheckCudaParams, run_without_records
    from assertkd.settings.load import load_config

    config = load_config(options.configfile)
    run = run_without_records(config, options.run_name or str(config.get("run")))
    for line in format_estimates(CheckCudaParams.from_run(run)):
        print(line)
