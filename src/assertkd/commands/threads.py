"""The command `assertkd threads`."""

import argparse

from assertkd.commands.options import add_run_choice

DESCRIPTION = (
    "Trains models of the run's sizes for some seconds with 1, 2, 4, … threads, alone and as many side by side as "
    "there are cores for; prints examples per second, and the option of snakemake that sets the best numbers."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its options."""
    add_run_choice(parser)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default: 10)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from assertkd.settings.config_file import load_config
    from assertkd.settings.load import load_run
    from assertkd.training.parallel.threads import best, described, measure, workload

    config = load_config(options.configfile)
    run = load_run(config if options.run_name is None else config | {"run": options.run_name})
    teacher = measure(workload(run.teacher.model, run.teacher.training, run, options.seconds), 1)
    print(described("teacher", teacher))
    variant = next(iter(run.variants.values()))
    jobs = len(run.variants) * len(run.seeds)
    students = measure(workload(variant.model, variant.training, run, options.seconds), jobs)
    print(described(f"students ({jobs})", students))
    print(f"--set-threads train_teacher={best(teacher).threads} distill_student={best(students).threads}")
