"""The command `assertkd analyse-scaling`."""

import argparse
from pathlib import Path

DESCRIPTION = """Reads a finished student's gradient norms; prints every component's share of the gradient, warns where
one dominates or vanishes, says which weights and beta would balance them, and writes loss_scaling.json and
loss_scaling.svg beside the logs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's options, and the function that runs it."""
    parser.add_argument(
        "run_dir", nargs="?", type=Path, help="a student's folder: results/<run>/students/<variant>/seed<seed>"
    )
    parser.add_argument("--training_dir", type=Path, metavar="DIR", help="the same")
    parser.add_argument("--log_file", type=Path, metavar="FILE", help="the same, named by one of its logs")
    parser.set_defaults(run=_analyse)


def _analyse(options: argparse.Namespace) -> None:
    from assertkd.errors import UserError
    from assertkd.report.loss_scaling import analyse_scaling, format_scaling, write_scaling

    candidates = (options.run_dir, options.training_dir, options.log_file and options.log_file.parent)
    folders = [folder for folder in candidates if folder is not None]
    if len(folders) != 1:
        raise UserError("one student's folder is needed", "Name results/<run>/students/<variant>/seed<seed>.")
    scaling = analyse_scaling(folders[0])
    print(format_scaling(scaling))
    print(f"Picture: {write_scaling(scaling, folders[0])}")
