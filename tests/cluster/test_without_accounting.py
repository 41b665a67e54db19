"""A cluster that keeps no accounting: squeue alone tells the plugin what became of a job."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_project import ClusterProject
from driver import Project
from records import completed
from slurm import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.fixture
def bare(cluster: Cluster) -> Iterator[Cluster]:
    """A running SLURM without accounting, in place of the one with it."""
    cluster.stop()
    running = Cluster(accounting=False)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        cluster.start()


def test_jobs_end_and_failed_ones_are_sent_again_without_accounting(bare: Cluster, tmp_path: Path) -> None:
    project = ClusterProject(Project.copied_to(tmp_path / "project"), bare)
    profile = project.folder / "profiles" / "delftblue" / "config.yaml"
    # There are no accounts where there is no accounting; and the first attempt has too little memory.
    text = re.sub(r"(?m)^  slurm_account: .*\n", "", profile.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^  mem_mb_per_cpu: .*$", '  mem_mb_per_cpu: "45 * attempt"', text)
    profile.write_text(text, encoding="utf-8")
    said = project.run("results/tiny/teacher/training_report.json")
    assert said.count("has been submitted with SLURM jobid") == 2
    assert (project.folder / "results/tiny/teacher/final_model/model.safetensors").exists()
    finished = completed(bare)
    assert len(finished) == 2
    assert finished[-1]["JobState"] == "COMPLETED"
    assert finished[0]["JobState"] != "COMPLETED"
