"""The command `assertkd analyse-scaling`."""

import argparse
from pathlib import Path

DESCRIPTION = """Reads a finished student's gradient norms; prints every component's share of the gradient, warns where
one dominates or vanishes, says which weights and beta would balance them, and writes loss_scaling.json and
loss_scaling.svg beside the logs. Given a run's folder, it lists the shares of every finished student."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's options, and the function that runs it."""
    parser.add_argument(
        "run_dir",
        nargs="?",
        type=Path,
        help="a student's folder, results/<run>/students/<variant>/seed<seed>, or a run's, results/<run>",
    )
    parser.add_argument("--training_dir", type=Path, metavar="DIR", help="the same")
    parser.add_argument("--log_file", type=Path, metavar="FILE", help="the same, named by one of its logs")
    parser.set_defaults(run=_analyse)


def _analyse(options: argparse.Namespace) -> None:
    from assertkd.errors import UserError
    from assertkd.layout import RunLayout
    from assertkd.report.loss_scaling import analyse_scaling, format_scaling, format_students, write_scaling

    candidates = (options.run_dir, options.training_dir, options.log_file and options.log_file.parent)
    folders = [folder for folder in candidates if folder is not None]
    if len(folders) != 1:
        raise UserError("one folder is needed", "Name results/<run>/students/<variant>/seed<seed>, or results/<run>.")
    if students := RunLayout(folders[0]).finished_students():
        print(format_students(students))
        print(f"\nMore on one of them: assertkd analyse-scaling {students[0]}")
        return
    scaling = analyse_scaling(folders[0])
    print(format_scaling(scaling))
    print(f"Picture: {write_scaling(scaling, folders[0])}")
