"""The command `assertkd mine`."""

import argparse
from pathlib import Path

from assertkd.commands.limits import check_positive
from assertkd.commands.options import add_setting, check_outside_stages, run_of_options
from assertkd.errors import UserError
from assertkd.layout import CorpusLayout
from assertkd.runtime.machine import cores
from assertkd.settings import DataSettings
from assertkd.settings.document import option_paths

KEYS = ("data.mining.", "data.max_characters")
"""Beginnings of the keys of the config that mining uses."""

DESCRIPTION = """Finds the JUnit and TestNG tests of Java projects (Maven, Gradle or plain), links each to the method
that it tests, and writes one record for every assertion. No code of the projects is executed. In the workflow,
data.source: java does the same."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Give the parser the command's options, and the function that runs it."""
    command.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a project, or a folder of projects")
    command.add_argument(
        "--output", type=Path, default=CorpusLayout("").mined, metavar="FILE", help="the records (default: %(default)s)"
    )
    command.add_argument(
        "--counts", type=Path, metavar="FILE", help="counts of what was mined and left out (default: OUTPUT as .json)"
    )
    for option in option_paths("data", DataSettings):
        if option.key.startswith(KEYS):
            add_setting(command, option)
    command.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (default: one a core)")
    command.set_defaults(run=_mine)


def _mine(options: argparse.Namespace) -> None:
    from assertkd.corpus.mine.counts import format_counts
    from assertkd.corpus.mine.mine_corpus import mine_corpus
    from assertkd.corpus.params import MineCorpusParams

    check_positive(options, "workers")
    counts_file = options.counts or options.output.with_suffix(".json")
    check_outside_stages(options.output, "--output")
    check_outside_stages(counts_file, "--counts")
    if counts_file.resolve() == options.output.resolve():
        raise UserError(
            f"{counts_file}: the counts would be written over the records",
            "Name the records' file .jsonl, or another file for the counts with --counts.",
        )
    run = run_of_options(options)
    params = MineCorpusParams.from_run(run).model_copy(update={"java_sources": tuple(map(str, options.folders))})
    counts = mine_corpus(params, options.output, counts_file, options.workers)
    print(format_counts(counts))
    print(f"Records: {options.output}\nCounts:  {counts_file}")
