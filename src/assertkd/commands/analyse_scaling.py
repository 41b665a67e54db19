"""The command `assertkd analyse-scaling`."""

import argparse
from pathlib import Path

DESCRIPTION = """Reads a finished student's gradient norms; prints every component's share of the gradient, warns where
one dominates or vanishes, says which weights and beta would balance them, and writes loss_scaling.json and
loss_scaling.svg beside the logs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser what the command takes, and what runs it."""
    parser.add_argument("run_dir", type=Path, help="a student's folder: results/<run>/students/<variant>/seed<seed>")
    parser.set_defaults(run=_analyse)


def _analyse(options: argparse.Namespace) -> None:
    from assertkd.losses.scaling import analyse_scaling, described, write_scaling

    scaling = analyse_scaling(options.run_dir)
    print(described(scaling))
    print(f"Picture: {write_scaling(scaling, options.run_dir)}")
