"""Options of commands that run a saved model; apart from the settings, whose import would delay `assertkd suggest`."""

import argparse


def add_limits(command: argparse.ArgumentParser) -> None:
    """Give a parser the two lengths of a saved model that runs outside a run; each is None by default."""
    for name, what in (("input", "input"), ("output", "assertion")):
        command.add_argument(
            f"--max-{name}-len",
            type=int,
            metavar="TOKENS",
            help=f"longest {what} (default: what the model was trained for)",
        )
