"""Snakemake's options `--configfile` and `--config`, checked before Snakemake reads them.

It does so before any code of the project runs, drops some silently, and ends in a traceback where a file is broken. The
profiles therefore call `check_command_line`.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from assertkd.errors import UserError
from assertkd.settings.config_file import load_config

LOCAL_EXECUTORS = ("local", "dryrun", "touch")


def check_command_line(executor: str = "local") -> None:
    """Check `--configfile` and `--config` among this process's arguments; end it with two lines at the first fault.

    Args:
        executor: the profile's.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="append", default=[], dest="files")
    parser.add_argument("--config", "-C", nargs="*", action="append", default=[], dest="options")
    parser.add_argument("--executor", "-e", default=executor)
    arguments = parser.parse_known_args(sys.argv[1:])[0]
    try:
        for option, given in (("--configfile", arguments.files), ("--config", arguments.options)):
            if len(given) > 1:
                problem = f"{option} stands twice, and Snakemake would use the last one alone"
                raise UserError(problem, f"Give all behind one {option}.")
        for file in [file for files in arguments.files for file in files]:
            load_config(Path(file))
        options = [option for options in arguments.options for option in options]
        check_options(options)
        if arguments.executor not in LOCAL_EXECUTORS:
            refuse_shell_syntax(options)
    except UserError as fault:
        print(f"Error: {fault}", file=sys.stderr)
        raise SystemExit(1) from None


def check_options(options: Sequence[str]) -> None:
    """Refuse what Snakemake does not take for a key of the config with its value, and would end in a traceback.

    Raises:
        UserError: naming the first.
    """
    for option in options:
        key, equals, value = option.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_][\w-]*\w", key):
            continue
        remedy = "Write key=value; the names of files to make stand behind `--`."
        if equals and re.fullmatch(r"[A-Za-z_]\w+(\.\w+)+", key) and re.fullmatch(r"[\w./+-]+", value):
            first, *inner = key.split(".")
            for name in reversed(inner):
                value = f"{{{name}: {value}}}"
            remedy = f"Write {first}='{value}'."
        raise UserError(f"--config {option}: is not key=value with a key of the config's top level", remedy)


def refuse_shell_syntax(options: Sequence[str]) -> None:
    """Refuse values that would not reach a cluster's jobs as they are: shells read the command twice on the way.

    It stands between double quotes first, then between single ones, or double ones where it holds a single one.

    Raises:
        UserError: a value has what a shell expands there, or both kinds of quotes, or a line break.
    """
    for option in options:
        key, _, value = option.partition("=")
        found = [sign for sign in "$`\\" if sign in value]
        found += ["both kinds of quotes"] if "'" in value and '"' in value else []
        found += ["a line break or another control character"] if not value.isprintable() else []
        if found:
            raise UserError(
                f"--config {key}: a shell on the way to the cluster's job would read {' and '.join(found)} in it",
                "Write the value into a file, there under `runs` and the run's name, and name that with --configfile.",
            )
