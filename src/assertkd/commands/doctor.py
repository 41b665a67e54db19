"""The command `assertkd doctor`."""

import argparse
from pathlib import Path

DESCRIPTION = (
    "Prints what this machine has for AssertKD, and what it means where something is missing. Nothing is downloaded. "
    "The exit code is 1 where the demo cannot run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its options."""
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from assertkd.doctor import examine
    from assertkd.errors import UserError

    findings = examine(options.configfile)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = "-" if finding.is_fault else "+" if not finding.meaning else " "
        print(f"{mark} {finding.subject.ljust(width)}  {finding.found}")
        if finding.meaning:
            print(f"  {' ' * width}  {finding.meaning}")
    if faults := [finding.subject for finding in findings if finding.is_fault]:
        raise UserError(f"The demo cannot run here: {', '.join(faults)}", "The lines with `-` say what to do.")
