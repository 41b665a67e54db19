"""What SLURM itself says of the jobs that ran: its accounting, its controller, its list of finished jobs."""

import re
from dataclasses import dataclass

from slurm import Cluster

COMMENT = re.compile(r"rule_(?P<rule>\w+?)(?:_wildcards_(?P<values>.*))?")
FIELDS = "JobIDRaw,Comment,State,Partition,Account,AllocTRES,TimelimitRaw,NodeList,Start,End,JobName,ExitCode"


@dataclass(frozen=True)
class Record:
    """One start of a job, as SLURM's accounting has it.

    Attributes:
        resources: what it was given, by the name of the trackable resource (`cpu`, `mem`, `gres/gpu`, `node`).
        minutes: its time limit.
    """

    job: int
    rule: str
    values: str
    state: str
    partition: str
    account: str
    resources: dict[str, str]
    minutes: int
    node: str
    start: str
    end: str
    name: str
    exit_code: str


def accounted(cluster: Cluster, duplicates: bool = False) -> list[Record]:
    """Return every job of the last day from sacct; with `duplicates`, each start of a requeued job."""
    more = ["--duplicates"] if duplicates else []
    lines = cluster.ask("sacct", "-X", "-P", "-n", "-S", "now-1days", f"--format={FIELDS}", *more).splitlines()
    records = []
    for line in lines:
        job, comment, state, partition, account, tres, minutes, node, start, end, name, code = line.split("|")
        named = COMMENT.fullmatch(comment)
        if named is None:
            continue
        resources = dict(one.split("=", 1) for one in tres.split(",") if one)
        records.append(
            Record(
                job=int(job),
                rule=named["rule"],
                values=named["values"] or "",
                state=state.split()[0],
                partition=partition,
                account=account,
                resources=resources,
                minutes=int(minutes or 0),
                node=node,
                start=start,
                end=end,
                name=name,
                exit_code=code,
            )
        )
    return records


def controller_says(cluster: Cluster, job: int) -> dict[str, str]:
    """Return what `scontrol show job` has on a job, finished or not, by its key."""
    words = cluster.ask("scontrol", "-o", "-d", "show", "job", str(job)).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def completed(cluster: Cluster) -> list[dict[str, str]]:
    """Return the controller's own list of finished jobs, which it keeps without accounting too."""
    lines = cluster.finished_jobs.read_text(encoding="utf-8").splitlines() if cluster.finished_jobs.exists() else []
    return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
