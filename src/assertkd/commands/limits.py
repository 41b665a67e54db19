"""Options of commands that run a saved model; apart from the settings, whose import would delay `assertkd suggest`."""

import argparse

from assertkd.errors import UserError


def add_limits(command: argparse.ArgumentParser) -> None:
    """Give a parser the two lengths of a saved model that runs outside a run; each is None by default."""
    for name, what in (("input", "input"), ("output", "assertion")):
        command.add_argument(
            f"--max-{name}-len",
            type=int,
            metavar="TOKENS",
            help=f"longest {what} (default: what the model was trained for)",
        )


def check_positive(options: argparse.Namespace, *names: str) -> None:
    """Refuse options that are below 1; None is what an option is that was left out.

    Raises:
        UserError: naming the first of them.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value}: must be at least 1", "Leave it out for the default.")
