"""The command `assertkd export`."""

import argparse
from pathlib import Path

from assertkd.commands.limits import add_limits, check_positive
from assertkd.commands.options import check_outside_stages

DESCRIPTION = """Writes a student (or the teacher) in the form of CTranslate2, which runs several times as fast on CPUs,
and in 8 bits takes a quarter of the space. Then both forms write the assertions of the run's test split:
export_report.json says how often they agree, and how large and how fast each is."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Give the parser the command's arguments and the function that runs it."""
    command.add_argument(
        "student", type=Path, help="results/<run>/students/<variant>/seed<seed>, or a folder with a model"
    )
    command.add_argument("folder", type=Path, help="folder of the export")
    command.add_argument("--format", choices=["ctranslate2"], default="ctranslate2", help="the only form")
    command.add_argument(
        "--quantization", choices=["int8", "float32"], default="int8", help="precision of the weights (default: int8)"
    )
    command.add_argument(
        "--test", type=Path, metavar="FILE", help="records to compare on (default: the run's test split)"
    )
    command.add_argument("--examples", type=int, metavar="N", help="compare on the first N records only (default: all)")
    add_limits(command)
    command.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads that both forms compute with (default: 1)"
    )
    command.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from assertkd.export.export import REPORT, export_student, format_report
    from assertkd.runtime.job import set_threads

    check_outside_stages(options.folder, "folder")
    check_positive(options, "examples", "threads", "max_input_len", "max_output_len")
    set_threads(options.threads)
    report = export_student(
        options.student,
        options.folder,
        options.quantization,
        test_file=options.test,
        examples=options.examples,
        max_input_len=options.max_input_len,
        max_output_len=options.max_output_len,
    )
    print(format_report(report))
    print(f"Report: {options.folder / REPORT}")
