"""The command `assertkd families`."""

import argparse

from assertkd.synthetic.families import FAMILIES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the command's options, and the function that runs it."""
    parser.set_defaults(run=_list)


def _list(options: argparse.Namespace) -> None:
    for family in FAMILIES:
        print(f"{family.name:<18} {(family.scenario.__doc__ or '').strip().splitlines()[0]}")
