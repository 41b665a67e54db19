"""`assertkd reproduce`: a training once more, from its report."""

import argparse
from pathlib import Path

from assertkd.reproduce import reproduce, write_config
from assertkd.training.logs import log_to_stderr

DESCRIPTION = (
    "Trains what the report describes again, from the same inputs; compares weights and metrics bit for bit. Run it in "
    "the project's folder."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("report", type=Path, help="training_report.json of a teacher or student")
    parser.add_argument("--into", type=Path, help="folder of the new model (default: `reproduced` beside the report)")
    parser.add_argument("--config", type=Path, help="train nothing; write the run's configuration to this YAML file")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.config is not None:
        write_config(options.report, options.config)
        print(f"Configuration: {options.config}")
        return
    log_to_stderr()
    folder = options.into or options.report.parent / "reproduced"
    reproduce(options.report, folder)
    print(f"The same weights and metrics, bit for bit: {folder}")
