"""The command `assertkd slurm-requests`."""

import argparse

DESCRIPTION = """Takes the arguments of snakemake, makes a dry run of them, and prints the sbatch request of every job
that would go to SLURM. RUN stands for the name of the run, which each start of Snakemake draws anew."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser what the command takes, and what runs it."""
    parser.set_defaults(run=_print_requests, passed_on=[])


def _print_requests(options: argparse.Namespace) -> None:
    from assertkd.cluster.requests import print_requests

    print_requests(options.passed_on)
