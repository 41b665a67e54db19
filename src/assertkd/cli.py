"""The command `assertkd`: the stages one by one, and tools beside the workflow."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from assertkd.errors import UserError
from assertkd.runtime.output import printable_output

STAGES = {
    "prepare": "read, clean and split the records; mine them first where they come from Java projects",
    "train-teacher": "fine-tune the teacher",
    "compress": "store the teacher's logits and predictions",
    "distill": "distil students",
    "predict": "let models write assertions for the test split",
    "score": "score the predictions",
    "report": "write the leaderboard and the report",
}
"""The commands of `assertkd.commands.stages`."""
COMMANDS = {
    "evaluate": "evaluate a model or a file of predictions on any records, without a run",
    "mine": "make records of the tests of Java projects",
    "export": "write a student in a form that is small and quick on CPUs",
    "suggest": "suggest assertions for a test on disk",
    "analyse-scaling": "which loss component moves a student, and what would balance them",
    "reproduce": "train a model again from its training_report.json, and compare the weights",
    "logits": "look into stores of teacher logits; write and read them as JSONL",
    "slurm-requests": "print what a profile would ask SLURM for",
    "doctor": "say what this machine has for AssertKD, and what it lacks",
    "memory": "estimate what a run's trainings take, and the batch sizes for GPUs of several sizes",
    "threads": "measure how many threads training jobs should have on this machine",
    "families": "list the families of behaviour in the generated corpus",
}
"""Subcommand to its summary. Its module in `assertkd.commands`, named after it with `_` for `-`, has
`add_arguments(parser)`, which sets the default `passed_on=[]` for a command that takes another program's arguments; it
may define `DESCRIPTION`. Only the module of the chosen command is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit code: 0 done, 1 a fault that the user can correct, printed as two lines."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with printable_output():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    parser = parser_for(arguments)
    options, passed_on = parser.parse_known_args(arguments)
    if passed_on and not hasattr(options, "passed_on"):
        parser.error(f"unrecognized arguments: {' '.join(passed_on)}")
    options.passed_on = passed_on
    try:
        options.run(options)
    except UserError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 1
    except Exception as error:
        from assertkd.runtime.storage import storage_fault

        refusal = storage_fault(error)
        if refusal is None:
            raise
        print(f"Error: {refusal}", file=sys.stderr)
        return 1
    return 0


def parser_for(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of these arguments; only the subcommand that comes first in them has its options."""
    parser = argparse.ArgumentParser(
        prog="assertkd", description="The stages of AssertKD one by one, and tools beside the workflow."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, summary in (STAGES | COMMANDS).items():
        if name == next(iter(arguments), None):
            module = import_module(f"assertkd.commands.{'stages' if name in STAGES else name.replace('-', '_')}")
            command = commands.add_parser(
                name, description=getattr(module, "DESCRIPTION", summary), help=summary, allow_abbrev=False
            )
            command.set_defaults(command=name)
            module.add_arguments(command)
        else:
            commands.add_parser(name, help=summary)
    return parser


if __name__ == "__main__":
    sys.exit(main())
