"""The `assertkd` command: the stages without the workflow, and tools beside it."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from assertkd.errors import UserError

COMMANDS = {
    "mine": "make records of the tests of Java projects",
    "export": "write a student in a form that is small and quick on CPUs",
    "suggest": "suggest assertions for a test on disk",
    "analyse-scaling": "which loss component moves a student, and what would balance them",
    "reproduce": "train a model again from its training_report.json, and compare the weights",
    "logits": "look into stores of teacher logits; write and read them as JSONL",
    "threads": "measure how many threads training jobs should have on this machine",
    "families": "list the families of behaviour in the generated corpus",
}
"""Subcommand to what it does. Its module in `assertkd.commands`, named after it with `_` for `-`, has
`add_arguments(parser)`; it may define `DESCRIPTION`. Only the module of the chosen one is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code: 0 done, 1 a fault that the user can mend, said in two lines."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="assertkd", description="The stages of AssertKD without the workflow, and tools beside it."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, summary in COMMANDS.items():
        if name == next(iter(given), None):
            module = import_module(f"assertkd.commands.{name.replace('-', '_')}")
            command = commands.add_parser(name, description=getattr(module, "DESCRIPTION", summary), help=summary)
            module.add_arguments(command)
        else:
            commands.add_parser(name, help=summary)
    options = parser.parse_args(given)
    try:
        options.run(options)
    except UserError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
