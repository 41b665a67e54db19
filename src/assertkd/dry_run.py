"""What Snakemake is about to run: its dry run, in this process, and the moment at which it has planned its jobs."""

import argparse
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field

from assertkd.errors import UserError


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job that Snakemake is about to run.

    Attributes:
        rule: its rule.
        wildcards: name to value.
        outputs: the files and folders that it writes.
        reason: why it runs, as Snakemake says it.
    """

    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """A dry run that is over.

    Attributes:
        options: Snakemake's, those of the profile included.
        succeeded: whether it made a plan.
        printed: what it wrote to the terminal.
        records: its log record of each job, with the attributes that Snakemake gives it.
    """

    options: argparse.Namespace
    succeeded: bool
    printed: str
    records: tuple[logging.LogRecord, ...]

    @property
    def jobs(self) -> list[PlannedJob]:
        """The jobs that would run."""
        found = [vars(record) for record in self.records]
        return [PlannedJob(r["rule_name"], dict(r["wildcards"]), tuple(r["output"]), r["reason"]) for r in found]


def rules_of(jobs: Iterable[PlannedJob]) -> set[str]:
    """Return the names of the rules of jobs."""
    return {job.rule for job in jobs}


def dry_run(arguments: Sequence[str]) -> DryRun:
    """Make a dry run.

    Args:
        arguments: of `snakemake`; paths are read in the current folder.

    Raises:
        UserError: Snakemake refuses the arguments or the profile that they name.
    """
    from snakemake.cli import args_to_api, parse_args
    from snakemake.logging import logger

    printed = io.StringIO()
    collector = _JobRecords()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            parser, options = parse_args(["--dry-run", *arguments])
        except SystemExit:
            raise _refusal(printed.getvalue()) from None
        # args_to_api makes the executor that of dry runs.
        planned_options = argparse.Namespace(**vars(options))
        # Snakemake removes foreign handlers, but no filters.
        logger.addFilter(collector)
        try:
            succeeded = args_to_api(options, parser)
        finally:
            logger.removeFilter(collector)
    return DryRun(planned_options, succeeded, printed.getvalue(), tuple(collector.records))


def _refusal(printed: str) -> UserError:
    """Return the fault for which Snakemake ended: two lines of the project's, or the last line of its own."""
    own = printed.rpartition("Error: ")[2].strip().splitlines()
    if "Error: " in printed and len(own) > 1:
        return UserError("\n".join(own[:-1]), own[-1].strip())
    said = [line.strip() for line in printed.splitlines() if line.strip()] or ["Snakemake refuses its arguments"]
    return UserError(said[-1].rpartition("rror: ")[2], "Correct these arguments, or those in the profile.")


@dataclass(slots=True)
class _JobRecords:
    """Keeps the record of each job."""

    records: list[logging.LogRecord] = field(default_factory=list)

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == "job_info":
            self.records.append(record)
        return True


class WhenPlanned:
    """A filter for Snakemake's log that calls one of two functions once, when it is known which jobs will run.

    A dry run calls it too, where `onstart` is not called; and where there are no jobs, no handler of Snakemake's is.

    Args:
        announce: called where there are jobs, and none has started.
        conclude: called where there are none.
    """

    def __init__(self, announce: Callable[[], None], conclude: Callable[[], None]) -> None:
        from snakemake.common import NOTHING_TO_BE_DONE_MSG

        self._announce, self._conclude, self._nothing = announce, conclude, NOTHING_TO_BE_DONE_MSG
        self._is_called = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; at the first on the run as a whole, call the function for it."""
        call = self._announce if getattr(record, "event", None) == "run_info" else None
        if record.msg == self._nothing:
            call = self._conclude
        if call is not None and not self._is_called:
            self._is_called = True
            call()
        return True
