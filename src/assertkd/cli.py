"""The `assertkd` command: what is done outside the workflow."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from assertkd.commands.mine import add_mine
from assertkd.errors import UserError
from assertkd.logits.commands import add_logits_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code: 0 done, 1 a fault that the user can mend, said in two lines."""
    parser = argparse.ArgumentParser(prog="assertkd", description="Tools beside the AssertKD workflow.")
    commands = parser.add_subparsers(required=True, metavar="command")
    add_mine(commands)
    scaling = commands.add_parser(
        "analyse-scaling",
        help="which loss component moves a student, and what would balance them",
        description="Reads a finished student's gradient norms; prints every component's share of the gradient, warns "
        "where one dominates or vanishes, says which weights and beta would balance them, and writes "
        "loss_scaling.json and loss_scaling.svg beside the logs.",
    )
    scaling.add_argument("run_dir", type=Path, help="a student's folder: results/<run>/students/<variant>/seed<seed>")
    scaling.set_defaults(run=_analyse_scaling)
    logits = commands.add_parser("logits", help="look into stores of teacher logits; write and read them as JSONL")
    add_logits_commands(logits)
    families = commands.add_parser("families", help="list the families of behaviour in the generated corpus")
    families.set_defaults(run=_list_families)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except UserError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        return 1
    return 0


def _analyse_scaling(options: argparse.Namespace) -> None:
    from assertkd.losses.scaling import analyse_scaling, described, write_scaling

    scaling = analyse_scaling(options.run_dir)
    print(described(scaling))
    print(f"Picture: {write_scaling(scaling, options.run_dir)}")


def _list_families(options: argparse.Namespace) -> None:
    from assertkd.corpus.synthetic.families import FAMILIES

    for family in FAMILIES:
        print(f"{family.name:<18} {(family.scenario.__doc__ or '').strip().splitlines()[0]}")


if __name__ == "__main__":
    sys.exit(main())
