"""SLURM requests of a profile: the `sbatch` command of every job of a dry run, made by the executor plugin itself."""

import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from assertkd.errors import UserError


@dataclass(frozen=True)
class Request:
    """One job that would be submitted to SLURM.

    Attributes:
        rule: its rule.
        wildcards: its wildcards' values.
        command: the `sbatch` command up to what the job runs, for its first attempt.
    """

    rule: str
    wildcards: dict[str, str]
    command: str

    def __str__(self) -> str:
        values = "".join(f" {name}={value}" for name, value in self.wildcards.items())
        return f"{self.rule}{values}\n    {self.command}"


def slurm_requests(arguments: Sequence[str]) -> list[Request]:
    """Return the requests of a dry run.

    Args:
        arguments: of `snakemake`, with a profile whose executor is slurm; read in the current folder.

    Raises:
        UserError: the dry run fails, or the profile's executor is not slurm.
    """
    from snakemake.cli import args_to_api, parse_args
    from snakemake.logging import logger
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        parser, options = parse_args([*arguments, "--dry-run"])
        if options.executor != "slurm":
            raise UserError(
                f"executor {options.executor or 'local'}: these jobs do not go to SLURM",
                "Name a profile that does: --profile profiles/delftblue.",
            )
        settings = ExecutorPluginRegistry().get_plugin("slurm").get_settings(options)
        collector = _Collector(settings)
        # Snakemake removes foreign handlers, but no filters.
        logger.addFilter(collector)
        try:
            done = args_to_api(options, parser)
        finally:
            logger.removeFilter(collector)
    if not done:
        raise UserError(printed.getvalue().strip(), "Correct what the dry run reports.")
    return collector.requests


class _Collector(logging.Filter):
    """Keeps the request of every job that may have a GPU; the others run where Snakemake does."""

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings
        self.requests: list[Request] = []

    def filter(self, record: logging.LogRecord) -> bool:
        resources = getattr(record, "resources", None)
        if getattr(record, "event", None) != "job_info" or not resources or resources.get("gpu") is None:
            return True
        job: Any = SimpleNamespace(resources=resources, threads=record.threads)  # type: ignore[attr-defined]
        wildcards = {name: str(value) for name, value in record.wildcards.items()}  # type: ignore[attr-defined]
        rule: str = record.rule_name  # type: ignore[attr-defined]
        self.requests.append(Request(rule, wildcards, _command(job, rule, wildcards, self.settings)))
        return True


def _command(job: Any, rule: str, wildcards: dict[str, str], settings: Any) -> str:
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    values = "_".join(wildcards.values()).replace("/", "_")
    resources = job.resources
    options = {
        "run_uuid": f"{settings.jobname_prefix}_RUN" if settings.jobname_prefix else "RUN",
        "slurm_logfile": f"{settings.logdir or '.snakemake/slurm_logs'}/rule_{rule}/{values}/%j.log",
        "comment_str": f"rule_{rule}_wildcards_{values}" if values else f"rule_{rule}",
        "account": f"-A {resources.get('slurm_account')}" if resources.get("slurm_account") else "",
        "partition": f"-p {resources.get('slurm_partition')}" if resources.get("slurm_partition") else "",
        "workdir": os.curdir,
    }
    command: str = get_submit_command(job, options, settings=settings) + set_gres_string(job)
    return command


def print_requests(arguments: Sequence[str]) -> None:
    """Print the requests of a dry run, and their number."""
    requests = slurm_requests(arguments)
    for request in requests:
        print(request)
    print(f"{len(requests)} jobs", file=sys.stderr)
