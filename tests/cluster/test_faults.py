"""What a cluster does to jobs. Whatever it is, the run ends complete, with the weights of a run left in peace."""

import csv
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest
import yaml
from cluster_project import ClusterProject
from driver import PROJECT, Project
from records import Record, accounted, controller_says
from slurm import NODES, Cluster, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.long]

TEACHER = "results/tiny/teacher"
TARGET = f"{TEACHER}/training_report.json"
EPOCHS = 60
"""Long enough to be hit in the middle of the training."""
PATIENT = 1200
"""Seconds until a test gives up on a job: a busy machine needs many times the usual."""


def lasting(epochs: int) -> dict[str, object]:
    """Return the config of a teacher that is trained for so long."""
    training = {"epochs": epochs, "batch_size": 4, "validation_frequency": 20, "checkpoint_every": 20}
    return {"runs": {"tiny": {"teacher": {"training": training}}}}


@pytest.fixture(scope="module")
def uninterrupted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterProject:
    """A project whose teacher was trained without a fault."""
    project = ClusterProject(Project.copied_to(tmp_path_factory.mktemp("uninterrupted") / "project"), cluster)
    project.run(TARGET, config=lasting(EPOCHS))
    return project


@pytest.fixture
def hit(uninterrupted: ClusterProject, cluster: Cluster, tmp_path: Path) -> Iterator["HitProject"]:
    """A copy of it that is to train its teacher anew."""
    shutil.copytree(uninterrupted.folder, tmp_path / "project", symlinks=True)
    shutil.rmtree(tmp_path / "project" / TEACHER)
    project = HitProject(Project(tmp_path / "project"), cluster, before={record.job for record in accounted(cluster)})
    yield project
    project.end()


class HitProject(ClusterProject):
    """A run of a teacher's training that something happens to.

    Attributes:
        before: SLURM jobs of earlier tests.
        process: its Snakemake, while it runs.
    """

    def __init__(self, project: Project, cluster: Cluster, before: set[int]) -> None:
        super().__init__(project, cluster)
        self.before = before
        self.process: subprocess.Popen[str] | None = None
        self.said = self.folder / "said.txt"

    def interpreter(self) -> str:
        """Return this Python: what happens to a job is to happen to all its processes."""
        return sys.executable

    def set_profile(self, **changes: dict[str, object]) -> None:
        """Change values within sections of this copy's profile."""
        path = self.folder / "profiles" / "delftblue" / "config.yaml"
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
        for section, values in changes.items():
            profile[section.replace("_", "-")].update(values)
        path.write_text(yaml.safe_dump(profile), encoding="utf-8")

    def begin(self, epochs: int = EPOCHS) -> None:
        """Start it in the background."""
        with self.said.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                self.command(TARGET, config=lasting(epochs)),
                cwd=self.folder,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        self.cluster.ask("scancel", "--user", "root", check=False)

    def starts(self) -> list[Record]:
        """Return every start of a job of this project, in time's order."""
        records = [one for one in accounted(self.cluster, duplicates=True) if one.job not in self.before]
        return sorted(records, key=lambda one: (one.start, one.job))

    def holder(self) -> dict[str, object]:
        """Return who holds the teacher's folder; empty where nobody does."""
        try:
            return dict(json.loads((self.folder / TEACHER / ".lock.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    def until_training(self, previous: int | None = None) -> int:
        """Wait until steps are logged by another process than `previous`; return its number."""
        rows = self.folder / TEACHER / "checkpoints" / "logs" / "step_metrics.csv"
        self.wait(lambda: bool(self.holder()) and self.holder()["pid"] != previous, "a training")
        began = time.time()
        self.wait(lambda: rows.exists() and rows.stat().st_mtime > began and rows.stat().st_size > 1000, "its steps")
        return int(str(self.holder()["pid"]))

    def until_done(self) -> str:
        """Wait until Snakemake has ended well, and return what it said."""
        assert self.process is not None
        code = self.process.wait(timeout=PATIENT)
        said = self.said.read_text(encoding="utf-8")
        assert code == 0, said
        return said

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to happen, as long as Snakemake lives."""

        def happened() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.said.read_text(encoding="utf-8")
            return condition()

        wait_for(happened, what, seconds=PATIENT)

    def job(self) -> int:
        """Return the number of the SLURM job that trains."""
        return int(str(self.holder()["slurm_job"]))

    def continued(self) -> list[int]:
        """Return after which step each further start went on."""
        return [int(step) for step in re.findall(r"continuing after step (\d+)", self.log())]

    def log(self) -> str:
        """Return what its starts have logged together."""
        return (self.folder / TEACHER / "distillation_log.txt").read_text(encoding="utf-8")


def lives(pid: int) -> bool:
    """Return whether a process runs. One that has ended keeps its number until its parent has asked for its end."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def weights(project: ClusterProject) -> bytes:
    return (project.folder / TEACHER / "final_model" / "model.safetensors").read_bytes()


def assert_complete(hit: HitProject, uninterrupted: ClusterProject) -> None:
    """Fail unless the training ended as the uninterrupted one did, each step logged once, and no starts overlapped."""
    assert weights(hit) == weights(uninterrupted)
    logged = []
    for project in (hit, uninterrupted):
        with (project.folder / TEACHER / "step_metrics.csv").open(encoding="utf-8", newline="") as handle:
            logged.append([(row["step"], row["total_loss_weighted"]) for row in csv.DictReader(handle)])
    assert logged[0] == logged[1]
    assert not list((hit.folder / TEACHER).glob(".lock.json*"))
    starts = [one for one in hit.starts() if one.start != "Unknown"]
    for earlier, later in itertools.pairwise(starts):
        assert datetime.fromisoformat(earlier.end) <= datetime.fromisoformat(later.start), (earlier, later)


def test_a_cancelled_job_is_sent_again(hit: HitProject, uninterrupted: ClusterProject, cluster: Cluster) -> None:
    hit.begin()
    hit.until_training()
    cluster.ask("scancel", str(hit.job()))
    said = hit.until_done()
    assert "SLURM status is: 'CANCELLED'" in said
    assert [one.state for one in hit.starts()] == ["CANCELLED", "COMPLETED"]
    assert [one.minutes for one in hit.starts()] == [720, 1440], "it asks for more"
    assert len(hit.continued()) == 1
    assert_complete(hit, uninterrupted)


def test_a_job_that_runs_out_of_time_goes_on_from_its_checkpoint(
    hit: HitProject, uninterrupted: ClusterProject, cluster: Cluster
) -> None:
    report = json.loads((uninterrupted.folder / TARGET).read_text(encoding="utf-8"))
    # SLURM counts time in minutes, which a quick machine must not train through.
    epochs = max(EPOCHS, math.ceil(EPOCHS * 120 / report["seconds"]))
    if epochs > EPOCHS:
        uninterrupted = ClusterProject(Project.copied_to(hit.folder.parent / "longer"), cluster)
        uninterrupted.run(TARGET, config=lasting(epochs))
        hit.before = {record.job for record in accounted(cluster)}
    hit.begin(epochs)
    hit.until_training()
    cluster.ask("scontrol", "update", f"job={hit.job()}", "TimeLimit=1")
    hit.until_done()
    first, second = hit.starts()
    # Two minutes' notice of the end come first; a job that uses them well has failed before its time is up.
    assert first.state in ("FAILED", "TIMEOUT")
    assert (second.state, second.minutes) == ("COMPLETED", 1440)
    log = (hit.folder / TEACHER / "distillation_log.txt").read_text(encoding="utf-8")
    assert "SIGTERM asked this process to stop" in log
    assert len(hit.continued()) == 1
    assert_complete(hit, uninterrupted)


def test_a_job_without_enough_memory_is_sent_again_and_gets_more(
    hit: HitProject, uninterrupted: ClusterProject, cluster: Cluster
) -> None:
    # 360 MB are too few for torch; the second attempt has twice the cores.
    hit.set_profile(default_resources={"mem_mb_per_cpu": "45 * attempt"})
    hit.begin()
    hit.until_done()
    first, second = hit.starts()
    assert first.state in ("OUT_OF_MEMORY", "CANCELLED", "FAILED")
    assert second.state == "COMPLETED"
    assert (first.resources["cpu"], second.resources["cpu"]) == ("8", "16")
    assert (first.resources["mem"], second.resources["mem"]) == ("360M", "1440M")
    log = cluster.folder / "log" / f"slurmd.{first.node}.log"
    assert re.search(rf"{first.job}.* exceeded memory limit", log.read_text(encoding="utf-8", errors="replace"))
    assert_complete(hit, uninterrupted)


def test_a_preempted_job_goes_on_under_its_own_number(
    hit: HitProject, uninterrupted: ClusterProject, cluster: Cluster
) -> None:
    hit.begin()
    before = hit.until_training()
    urgent = cluster.ask(
        *("sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--gpus-per-node=2", "--output=/dev/null"),
        *("--wrap", "srun sleep 10"),
    ).strip()
    after = hit.until_training(previous=before)
    assert hit.holder()["slurm_restarts"] == 1
    assert not psutil.pid_exists(before) or after != before
    said = hit.until_done()
    assert said.count("has been submitted with SLURM jobid") == 1
    starts = [one for one in hit.starts() if one.job != int(urgent)]
    assert len({one.job for one in starts}) == 1
    assert [one.state for one in starts] == ["PREEMPTED", "COMPLETED"]
    assert len(hit.continued()) == 1
    assert_complete(hit, uninterrupted)


def test_a_job_whose_node_is_lost_goes_on_elsewhere_and_the_lost_one_ends(
    hit: HitProject, uninterrupted: ClusterProject, cluster: Cluster
) -> None:
    hit.begin()
    lost = hit.until_training()
    hit.wait(lambda: "checkpoint of step" in hit.log(), "a checkpoint")
    node = controller_says(cluster, hit.job())["NodeList"]
    cluster.kill_node(node)
    # The node's processes live on. Behind a broken network they hang at their next write, so that they cannot end
    # before SLURM starts the job again; when they come back, the folder is another's.
    os.kill(lost, signal.SIGSTOP)
    try:
        hit.wait(lambda: hit.holder().get("slurm_restarts") == 1, "the job's next start")
        assert lives(lost), "the lost one has yet to come back"
        os.kill(lost, signal.SIGCONT)
        hit.wait(lambda: bool(hit.continued()), "the training to go on")
        assert not lives(lost), "nothing runs twice at once"
        hit.until_done()
    finally:
        cluster.start_node(node)
        # Not by sinfo, which goes on for minutes to count the lost job's processors as allocated.
        wait_for(lambda: "State=IDLE " in cluster.ask("scontrol", "show", "node", node), node, seconds=PATIENT)
    starts = hit.starts()
    assert [one.state for one in starts] == ["NODE_FAIL", "COMPLETED"]
    assert len({one.job for one in starts}) == 1
    assert {one.node for one in starts} <= set(NODES)
    assert starts[0].node != starts[1].node
    assert len(hit.continued()) == 1
    assert weights(hit) == weights(uninterrupted)


def test_a_killed_snakemake_is_taken_up_as_documented(
    hit: HitProject, uninterrupted: ClusterProject, cluster: Cluster
) -> None:
    hit.begin()
    orphan = hit.until_training()
    assert hit.process is not None
    os.kill(hit.process.pid, signal.SIGKILL)
    hit.process.wait()
    assert psutil.pid_exists(orphan), "SLURM's job does not end with Snakemake"
    documented = (PROJECT / "docs" / "cluster.md").read_text(encoding="utf-8")
    way_back = documented.split("### Snakemake itself was killed")[1].split("```")[1].removeprefix("sh\n")
    cancel, unlock, _ = way_back.strip().rsplit("\n", 2)
    subprocess.run(["bash", "-euc", cancel], cwd=hit.folder, env=hit.environment(), check=True, timeout=60)
    wait_for(lambda: not cluster.ask("squeue", "-h", "--me").strip(), "the cancelled job's end", seconds=PATIENT)
    assert not psutil.pid_exists(orphan)
    assert unlock == "snakemake --profile profiles/delftblue --unlock"
    unlocking = subprocess.run(hit.command("--unlock"), cwd=hit.folder, env=hit.environment(), capture_output=True)
    assert unlocking.returncode == 0, unlocking.stdout + unlocking.stderr
    hit.begin()
    hit.until_done()
    assert [one.state for one in hit.starts()] == ["CANCELLED", "COMPLETED"]
    assert_complete(hit, uninterrupted)
