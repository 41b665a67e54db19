"""The tiny run through profiles/delftblue, judged by what SLURM recorded."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_project import ClusterProject
from driver import Project
from records import Record, accounted, completed, controller_says
from slurm import ACCOUNT, Cluster

pytestmark = pytest.mark.cluster

STUDENTS = ("hard_labels", "traditional")
GPU_JOBS = {
    ("train_teacher", "tiny"),
    ("compress_logits", "tiny"),
    ("predict", "tiny_teacher"),
    *(("distill_student", f"tiny_{name}_42") for name in STUDENTS),
    *(("predict", f"tiny_students_{name}_seed42") for name in STUDENTS),
}
LOCAL_RULES = {"prepare_corpus", "score", "build_report", "all"}


@pytest.fixture(scope="module")
def run(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClusterProject, str]]:
    """A finished tiny run and what Snakemake said of it."""
    project = ClusterProject(Project.copied_to(tmp_path_factory.mktemp("cluster") / "project"), cluster)
    yield project, project.run()


@pytest.fixture(scope="module")
def jobs(run: tuple[ClusterProject, str], cluster: Cluster) -> dict[tuple[str, str], Record]:
    """The run's jobs by rule and wildcards, from SLURM's accounting."""
    records = [record for record in accounted(cluster, duplicates=True) if record.values.startswith("tiny")]
    assert len({(record.rule, record.values) for record in records}) == len(records), "each job ran once"
    return {(record.rule, record.values): record for record in records}


def test_the_gpu_rules_alone_became_jobs(jobs: dict[tuple[str, str], Record]) -> None:
    assert set(jobs) == GPU_JOBS
    assert {record.state for record in jobs.values()} == {"COMPLETED"}
    assert {record.exit_code for record in jobs.values()} == {"0:0"}


def test_they_got_what_the_profile_asks_for(jobs: dict[tuple[str, str], Record], cluster: Cluster) -> None:
    for record in jobs.values():
        assert (record.partition, record.account) == ("gpu-a100", ACCOUNT)
        assert record.node in ("a1", "a2")
        assert record.name.startswith("assertkd_")
        assert record.resources["gres/gpu"] == "1"
        assert record.resources["cpu"] == "8"
        assert record.resources["node"] == "1"
        assert memory_mb(record.resources["mem"]) == 8 * 7900
    minutes = {record.rule: record.minutes for record in jobs.values()}
    assert minutes == {"train_teacher": 720, "distill_student": 480, "compress_logits": 120, "predict": 120}


def test_the_controller_says_the_same(jobs: dict[tuple[str, str], Record], cluster: Cluster) -> None:
    asked = controller_says(cluster, jobs["train_teacher", "tiny"].job)
    assert asked["TimeLimit"] == "12:00:00"
    assert asked["Requeue"] == "1"
    assert asked["NumCPUs"] == "8"
    finished = {job["JobId"]: job for job in completed(cluster)}
    for record in jobs.values():
        assert finished[str(record.job)]["JobState"] == "COMPLETED"
        assert finished[str(record.job)]["Partition"] == "gpu-a100"


def test_the_cpu_rules_never_left_the_process_that_snakemake_ran_in(run: tuple[ClusterProject, str]) -> None:
    _, said = run
    local = set(re.findall(r"^localrule (\w+):", said, re.MULTILINE))
    assert local >= LOCAL_RULES
    assert not local & {rule for rule, _ in GPU_JOBS}
    assert set(re.findall(r"^rule (\w+):", said, re.MULTILINE)) == {rule for rule, _ in GPU_JOBS}
    assert len(re.findall(r"has been submitted with SLURM jobid", said)) == len(GPU_JOBS)


def test_the_logs_of_all_jobs_are_kept(run: tuple[ClusterProject, str], jobs: dict[tuple[str, str], Record]) -> None:
    project, _ = run
    logs = {path.relative_to(project.folder) for path in (project.folder / "logs" / "slurm").rglob("*.log")}
    assert logs == {
        Path("logs/slurm", f"rule_{record.rule}", record.values, f"{record.job}.log") for record in jobs.values()
    }


def test_the_run_is_complete_and_a_second_call_sends_nothing(
    run: tuple[ClusterProject, str], jobs: dict[tuple[str, str], Record], cluster: Cluster
) -> None:
    project, _ = run
    report = project.folder / "results" / "tiny" / "report"
    with (report / "leaderboard.csv").open(encoding="utf-8", newline="") as handle:
        assert {row["variant"] for row in csv.DictReader(handle)} == {"", *STUDENTS}
    assert not list((project.folder / "results").rglob(".lock.json*")), "every lock was given back"
    assert "Nothing to be done" in project.run()
    assert len(accounted(cluster, duplicates=True)) == len(jobs)


def test_each_job_was_told_which_gpus_are_its_own(run: tuple[ClusterProject, str]) -> None:
    project, _ = run
    report = json.loads((project.folder / "results/tiny/teacher/training_report.json").read_text(encoding="utf-8"))
    # The GPUs are fake: a job falls back to the CPU, and says so.
    assert report["machine"]["device"] == "cpu"


MODULES = """
module() {
    case $1 in
        purge) unset LOADEDMODULES ;;
        load) shift; LOADEDMODULES=$(IFS=:; echo "$*"); export LOADEDMODULES ;;
    esac
}
"""


def test_a_job_whose_modules_failed_to_load_says_so_and_one_whose_did_goes_on(
    run: tuple[ClusterProject, str], tmp_path: Path
) -> None:
    project, _ = run
    modules = tmp_path / "modules.sh"
    check = ("check_cuda", "--software-deployment-method", "env-modules", "--retries", "0")
    modules.write_text("module() { return 1; }\n", encoding="utf-8")
    code, said = project.attempt(*check, BASH_ENV=str(modules))
    assert code != 0
    assert "module load 2024r1 cuda/12.5: failed, loaded are: none" in said
    modules.write_text(MODULES, encoding="utf-8")
    code, said = project.attempt(*check, BASH_ENV=str(modules))
    # These GPUs are fake, so that the job ends here; but it got past its modules.
    assert code != 0
    assert "failed, loaded are" not in said
    assert "sees no GPU" in said


def test_a_job_that_misses_a_model_says_what_to_run_where(run: tuple[ClusterProject, str]) -> None:
    project, _ = run
    config = {"runs": {"tiny": {"distillation": {"model": {"name": "me/absent"}}}}}
    student = "results/tiny/students/hard_labels/seed42/training_report.json"
    code, said = project.attempt(student, "--retries", "0", config=config)
    assert code != 0
    assert "me/absent: no model could be loaded" in said
    assert "snakemake prefetch_models" in said


def memory_mb(size: str) -> float:
    """Return SLURM's size, as `63200M` or `61.72G`, in MB of 2**20 bytes."""
    return round(float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]], 0)
