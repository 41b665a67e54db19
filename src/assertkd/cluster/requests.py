"""SLURM requests of a profile: the `sbatch` command of every job of a dry run, made by the executor plugin itself."""

import os
from collections.abc import Sequence
from typing import Any

from assertkd.dry_run import dry_run
from assertkd.errors import UserError


def slurm_requests(arguments: Sequence[str]) -> list[str]:
    """Return the requests of a dry run: of each job a line that names it, and one with its `sbatch` command.

    The commands are those of first attempts, without what the job runs.

    Args:
        arguments: of `snakemake`, with a profile whose executor is slurm; read in the current folder.

    Raises:
        UserError: the dry run fails, or the profile's executor is not slurm.
    """
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    done = dry_run(arguments)
    if done.options.executor != "slurm":
        raise UserError(
            f"executor {done.options.executor or 'local'}: these jobs do not go to SLURM",
            "Name a profile that does: --profile profiles/delftblue.",
        )
    if not done.succeeded:
        raise UserError(done.printed.strip(), "Correct what the dry run reports.")
    settings = ExecutorPluginRegistry().get_plugin("slurm").get_settings(done.options)
    # Every job that may have a GPU; the others run where Snakemake does.
    resources = [getattr(record, "resources", None) for record in done.records]
    return [
        _request(record, settings)
        for record, asked in zip(done.records, resources, strict=True)
        if asked and asked.get("gpu") is not None
    ]


def _request(job: Any, settings: Any) -> str:
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    rule, resources = job.rule_name, job.resources
    values = "_".join(map(str, job.wildcards.values())).replace("/", "_")
    options = {
        "run_uuid": f"{settings.jobname_prefix}_RUN" if settings.jobname_prefix else "RUN",
        "slurm_logfile": f"{settings.logdir or '.snakemake/slurm_logs'}/rule_{rule}/{values}/%j.log",
        "comment_str": f"rule_{rule}_wildcards_{values}" if values else f"rule_{rule}",
        "account": f"-A {resources.get('slurm_account')}" if resources.get("slurm_account") else "",
        "partition": f"-p {resources.get('slurm_partition')}" if resources.get("slurm_partition") else "",
        "workdir": os.curdir,
    }
    name = " ".join([rule, *(f"{wildcard}={value}" for wildcard, value in job.wildcards.items())])
    return f"{name}\n    {get_submit_command(job, options, settings=settings)}{set_gres_string(job)}"
