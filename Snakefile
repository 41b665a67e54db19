# AssertKD: prepare corpus -> fine-tune teacher -> compress its logits -> distil students -> predict, score -> report.
#   snakemake --profile profiles/local        everything on this machine
#   snakemake --profile profiles/delftblue    GPU rules to SLURM


import atexit
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from assertkd.errors import UserError
from assertkd.settings.config_file import check_config_files

min_version("9.16.3")  # since then a default resource keeps the text that the profile gives it


def refusal(fault):
    """The exception that ends Snakemake for a fault of the user's, whose lines then stand last on the terminal."""
    if workflow.is_main_process:
        # Where stderr goes is asked then: a command makes its dry run with another.
        atexit.register(lambda: print(f"Error: {fault}", file=sys.stderr))
    return WorkflowError(str(fault))


if workflow.is_main_process:
    # Snakemake takes the last of two equal keys, and says of a broken file neither what is wrong nor where.
    try:
        check_config_files([Path("config.yaml"), *workflow.overwrite_configfiles])
    except UserError as fault:
        raise refusal(fault)


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/corpus.smk"


if RUN.data.has_external_teacher:

    include: "workflow/rules/external_teacher.smk"

else:

    include: "workflow/rules/teacher.smk"
    include: "workflow/rules/logits.smk"


if RUN.data.unlabelled is not None:

    include: "workflow/rules/unlabelled.smk"


include: "workflow/rules/students.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/cluster.smk"


rule all:
    default_target: True
    input:
        report_files(),
    localrule: True
