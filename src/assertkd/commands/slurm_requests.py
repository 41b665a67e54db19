"""The command `assertkd slurm-requests`."""

import argparse
import sys

DESCRIPTION = """Takes the arguments of snakemake, makes a dry run, and prints the sbatch request of every job that
would go to SLURM. RUN is a placeholder for Snakemake's own name of its start, which is random."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's options, and the function that runs it."""
    parser.set_defaults(run=_print_requests, passed_on=[])


def _print_requests(options: argparse.Namespace) -> None:
    from assertkd.cluster.requests import slurm_requests

    requests = slurm_requests(options.passed_on)
    for request in requests:
        print(request)
    print(f"{len(requests)} jobs", file=sys.stderr)
