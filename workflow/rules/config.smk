# The config and the run that it names, checked; what is wrong with them ends Snakemake in two lines.

import atexit
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from assertkd.errors import UserError
from assertkd.runtime.machine import unquoted_python
from assertkd.runtime.terminal import show_progress
from assertkd.set_in_vain import warnings
from assertkd.settings import load_run
from assertkd.settings.config_file import whole_config
from assertkd.students.params import DistillStudentParams
from assertkd.validate import validate


def refusal(fault):
    """The exception that ends Snakemake for a fault of the user's, whose lines then stand last on the terminal."""
    if workflow.is_main_process:
        # Where stderr goes is asked then: a command makes its dry run with another.
        atexit.register(lambda: print(f"Error: {fault}", file=sys.stderr))
    return WorkflowError(str(fault))


try:
    # Before Snakemake reads config.yaml: it takes the last of two equal keys, and says of a broken file neither what is
    # wrong nor where.
    CONFIG = whole_config(["config.yaml", *workflow.overwrite_configfiles], workflow.config_settings.config_args or [])
    RUN = load_run(CONFIG)
    validate(RUN)
    STUDENTS = {variant: DistillStudentParams.from_run(RUN, variant) for variant in RUN.variants}
    sys.executable = unquoted_python(sys.executable, Path.cwd())
except UserError as fault:
    raise refusal(fault)


configfile: "config.yaml"


config = CONFIG

if workflow.is_main_process:
    for line in warnings(config, RUN):
        logger.warning(f"Warning: {line}")
    show_progress(logger)
