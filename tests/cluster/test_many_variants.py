"""Twenty variants at once: each is sent, no more at a time than the profile allows, and the report is built."""

import csv
import threading
from pathlib import Path

import pytest
from cluster_project import ClusterProject
from driver import Project
from records import accounted
from slurm import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

JOBS = 8
VARIANTS = {f"hot{n}": {"loss": {"function": "traditional", "temperature": 1.0 + n / 4}} for n in range(20)}


def test_twenty_variants_are_all_distilled_eight_jobs_at_a_time(cluster: Cluster, tmp_path: Path) -> None:
    project = ClusterProject(Project.copied_to(tmp_path / "project"), cluster)
    before = {record.job for record in accounted(cluster)}
    config = {
        "runs": {"tiny": {"variants": list(VARIANTS), "evaluation": {"limit": 4}}},
        "variants": VARIANTS,
    }
    queued: list[int] = []
    done = threading.Event()

    def count() -> None:
        while not done.wait(0.5):
            lines = cluster.ask("squeue", "-h", "-o", "%T", "--states=PENDING,RUNNING", check=False).split()
            queued.append(len(lines))

    watcher = threading.Thread(target=count)
    watcher.start()
    try:
        project.run("--jobs", str(JOBS), config=config, seconds=3 * 3600)
    finally:
        done.set()
        watcher.join()
    assert max(queued) == JOBS
    records = [one for one in accounted(cluster, duplicates=True) if one.job not in before]
    students = [one.values for one in records if one.rule == "distill_student"]
    assert sorted(students) == sorted(f"tiny_{name}_42" for name in VARIANTS), "each once"
    assert {one.state for one in records} == {"COMPLETED"}
    with (project.folder / "results/tiny/report/leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        assert {row["variant"] for row in csv.DictReader(handle)} == {"", *VARIANTS}
