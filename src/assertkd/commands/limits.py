"""Options of the commands that run a saved model outside a run: how long its inputs and outputs may be."""

import argparse


def add_limits(command: argparse.ArgumentParser) -> None:
    """Give the parser the two options; each is None by default."""
    for name, what in (("input", "input"), ("output", "assertion")):
        command.add_argument(
            f"--max-{name}-len",
            type=int,
            metavar="TOKENS",
            help=f"longest {what} (default: what the model was trained for)",
        )
