"""The command `assertkd reproduce`."""

import argparse
from pathlib import Path

from assertkd.commands.options import check_outside_stages
from assertkd.errors import UserError

DESCRIPTION = """Trains what the report describes again, from the same inputs; compares weights and metrics bit for bit.
Run it in the project's folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's options, and the function that runs it."""
    parser.add_argument("report", type=Path, help="training_report.json of a teacher or student")
    parser.add_argument("--into", type=Path, help="folder of the new model (default: `reproduced` beside the report)")
    parser.add_argument("--config", type=Path, help="train nothing; write the run's configuration to this YAML file")
    parser.set_defaults(run=_reproduce)


def _reproduce(options: argparse.Namespace) -> None:
    from assertkd.layout import TrainingLayout
    from assertkd.reproduce import reproduce, write_config
    from assertkd.runtime.logs import logged_to_stderr

    if options.config is not None:
        check_outside_stages(options.config, "--config")
        if options.config.exists():
            raise UserError(f"--config {options.config}: exists already", "Name another file.")
        write_config(options.report, options.config)
        print(f"Configuration: {options.config}")
        return
    folder = options.into or TrainingLayout(options.report.parent).reproduced
    if options.into is not None:
        check_outside_stages(folder, "--into")
        if TrainingLayout(folder).report.exists():
            raise UserError(f"--into {folder}: holds a trained model", "Name another folder.")
    with logged_to_stderr():
        reproduce(options.report, folder)
    print(f"The same weights and metrics, bit for bit: {folder}")
