# What is said and checked around the jobs: before the first one starts, and when the last one has ended.

import atexit
import shutil
import sys
import time
from pathlib import Path

from snakemake.logging import logger

from assertkd.cluster.account import check_submission
from assertkd.commands.kept_config import keep_config
from assertkd.dry_run import PlannedJob, WhenPlanned, rules_of
from assertkd.errors import UserError
from assertkd.outdated import outdated_results, retraining_notice
from assertkd.prerequisites import check_devices, check_files, check_models, check_predictions
from assertkd.runtime.logs import logged_faults
from assertkd.runtime.output import printable_output
from assertkd.runtime.storage import RUN_BYTES, format_bytes, size_of
from assertkd.settings.command_line import refuse_shell_syntax

STARTED = time.time()


def planned_jobs():
    """The jobs that are about to run."""
    return [
        PlannedJob(job.rule.name, dict(job.wildcards_dict), tuple(map(str, job.output)), str(workflow.dag.reason(job)))
        for job in workflow.dag.needrun_jobs()
    ]


def announce_retraining():
    """Say that a finished teacher is about to be trained again, and which settings have changed."""
    notice = retraining_notice(outdated_results(planned_jobs()))
    if notice:
        logger.warning(f"Warning: {notice}")


def closing():
    """What a run ends with: its leaderboard, and where its report is."""
    # Takes a while to import, which no start of Snakemake should wait for.
    from assertkd.report.closing import closing_message

    results = [*scored_files("comparison")(None), *trained_files("report")(None)]
    return closing_message(RUN_FILES.report, RUN.name, results)


def conclude_without_jobs():
    """End a run that has nothing to do as one that has done it."""
    if not workflow.dryrun:
        keep_config(workflow.overwrite_configfiles, os.environ)
        atexit.register(print, closing())


if workflow.is_main_process:
    logger.addFilter(WhenPlanned(announce_retraining, conclude_without_jobs))


def say_disk(jobs):
    """Say how much room the jobs take on the disk, and warn where less is free; jobs know it when a disk is full."""
    # Takes a while to import, which no start without such jobs should wait for.
    from assertkd.cluster.disk import run_disk

    resources = workflow.resource_settings
    at_once = (resources.nodes if not workflow.local_exec else 1 if has_gpu() else resources.cores) or 1
    needed, folder = run_disk(RUN, jobs, at_once), RUN_FILES.folder
    place = next(path for path in (folder, folder.parent, Path()) if path.exists())
    free = shutil.disk_usage(place).free
    os.environ[RUN_BYTES] = str(needed.total + size_of(folder))
    room = f"about {format_bytes(needed.total)} ({needed}), {format_bytes(free)} are free for {folder}"
    if needed.total > free:
        logger.warning(
            f"Warning: the run may fill the disk: its jobs write {room}. Free more, or let results be a link to a larger "
            "disk."
        )
    else:
        logger.info(f"Disk: the jobs write {room}.")


def check_start():
    """Refuse to start jobs that cannot run: on SLURM without an account, without their device, with an unusable model."""
    jobs = planned_jobs()
    try:
        if not workflow.local_exec:
            refuse_shell_syntax(workflow.config_settings.config_args or [])
        check_submission(job_resources(), os.environ)
        check_files(RUN, RUN_FILES, jobs=jobs)
        check_predictions(RUN, jobs, RUN_FILES)
        check_models(RUN, jobs, RUN_FILES)
        if workflow.local_exec:
            check_devices(RUN, jobs)
    except UserError as fault:
        raise refusal(fault)
    if {"pretrain", "train_teacher", "distill_student", "compress_logits"} & rules_of(jobs):
        say_disk(jobs)


def repeat_faults():
    """Have the faults that ended jobs stand last on the terminal, below what Snakemake says of them."""
    faults = [f"Error: {fault}" for fault in logged_faults(Path(f"logs/{RUN.name}"), STARTED)]
    if faults:
        atexit.register(print, *faults, sep="\n", file=sys.stderr)


onstart:
    check_start()
    keep_config(workflow.overwrite_configfiles, os.environ)


onsuccess:
    with printable_output():
        print(closing())


onerror:
    repeat_faults()
