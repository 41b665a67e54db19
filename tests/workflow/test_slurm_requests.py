"""What profiles/delftblue asks SLURM for, to the letter, and what it says where that cannot be asked."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from driver import PROJECT, Project
from snakemake.iocontainers import Wildcards
from snakemake.resources import Resource

from assertkd.cluster.account import check_submission
from assertkd.errors import UserError
from preloaded import python

pytestmark = pytest.mark.workflow

PAPER = """\
train_teacher run=codet5p
    sbatch --parsable --job-name assertkd_RUN --output logs/slurm/rule_train_teacher/codet5p/%j.log --export=ALL \
--comment rule_train_teacher_wildcards_codet5p -A education-eemcs-msc-cs -p gpu-a100 -t 720 --mem-per-cpu 7900 \
--requeue --cpus-per-gpu=8 --signal=TERM@120 -D . --gpus=1
compress_logits run=codet5p
    sbatch --parsable --job-name assertkd_RUN --output logs/slurm/rule_compress_logits/codet5p/%j.log --export=ALL \
--comment rule_compress_logits_wildcards_codet5p -A education-eemcs-msc-cs -p gpu-a100 -t 120 --mem-per-cpu 7900 \
--requeue --cpus-per-gpu=8 --signal=TERM@120 -D . --gpus=1
distill_student run=codet5p variant=trident seed=42
    sbatch --parsable --job-name assertkd_RUN --output logs/slurm/rule_distill_student/codet5p_trident_42/%j.log \
--export=ALL --comment rule_distill_student_wildcards_codet5p_trident_42 -A education-eemcs-msc-cs -p gpu-a100 -t 480 \
--mem-per-cpu 7900 --requeue --cpus-per-gpu=8 --signal=TERM@120 -D . --gpus=1
predict run=codet5p model=students/trident/seed42
    sbatch --parsable --job-name assertkd_RUN \
--output logs/slurm/rule_predict/codet5p_students_trident_seed42/%j.log --export=ALL \
--comment rule_predict_wildcards_codet5p_students_trident_seed42 -A education-eemcs-msc-cs -p gpu-a100 -t 120 \
--mem-per-cpu 7900 --requeue --cpus-per-gpu=8 --signal=TERM@120 -D . --gpus=1
"""


def requests(project: Project, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `assertkd slurm-requests` there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SBATCH_")}
    return subprocess.run(
        [python(), "-m", "assertkd.cli", "slurm-requests", *arguments],
        cwd=project.folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def by_job(text: str) -> dict[str, str]:
    """Return each job's request by the line that names it."""
    lines = text.splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def records(folder: Path) -> str:
    """Write a file of records and return what names it on the command line."""
    (folder / "records.jsonl").write_text(json.dumps({}) + "\n", encoding="utf-8")
    return "data={train_file: records.jsonl}"


def test_the_paper_sized_run_asks_for_these_jobs_to_the_letter(project: Project) -> None:
    done = requests(
        project,
        *("--profile", "profiles/delftblue", "--config", "run=codet5p", records(project.folder)),
        SBATCH_ACCOUNT="education-eemcs-msc-cs",
    )
    assert done.returncode == 0, done.stderr
    asked = by_job(done.stdout)
    for job, request in by_job(PAPER).items():
        assert asked[job] == request
    variants = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))["runs"]["codet5p"]["variants"]
    # The teacher, its logits, its predictions, two of embed_targets; every student and its predictions.
    assert len(asked) == 5 + 2 * len(variants)
    rules = {job.split()[0] for job in asked}
    gpu_rules = {"train_teacher", "compress_logits", "embed_targets", "distill_student", "predict"}
    assert rules == gpu_rules, "CPU rules are never sent"


@pytest.mark.parametrize(
    ("run", "partition", "memory"),
    [("demo", "gpu-a100-small", 8000), ("codet5p_small", "gpu-v100", 5300), ("codet5p", "gpu-a100", 7900)],
)
def test_the_partition_is_chosen_by_the_size_of_the_run(run: str, partition: str, memory: int) -> None:
    given = profile()["default-resources"]
    assert evaluated(given["slurm_partition"], run, 1) == partition
    assert evaluated(given["mem_mb_per_cpu"], run, 1) == memory


@pytest.mark.parametrize(
    ("run", "cores", "hours"),
    [
        ("codet5p", [8, 16, 16, 16], [12, 24, 24, 24]),
        ("codet5p_small", [6, 12, 12, 12], [12, 24, 24, 24]),
        ("demo", [2] * 4, [4] * 4),
    ],
)
def test_a_job_that_is_sent_again_asks_for_more_up_to_the_limit(run: str, cores: list[int], hours: list[int]) -> None:
    attempts = range(1, profile()["retries"] + 2)
    assert [evaluated(profile()["default-resources"]["cpus_per_gpu"], run, each) for each in attempts] == cores
    minutes = profile()["set-resources"]["train_teacher"]["runtime"]
    assert [evaluated(minutes, run, each) / 60 for each in attempts] == hours


def profile() -> dict[str, Any]:
    """Return what profiles/delftblue holds."""
    held: dict[str, Any] = yaml.safe_load((PROJECT / "profiles/delftblue/config.yaml").read_text(encoding="utf-8"))
    return held


def evaluated(expression: str, run: str, attempt: int) -> Any:
    """Return what Snakemake makes of a profile's expression."""
    wildcards = Wildcards(fromdict={"run": run})
    return Resource.cli_evaluator(
        "any", expression, wildcards=wildcards, input=[], attempt=attempt, threads=1, async_run=None
    )


def test_another_cluster_needs_two_values_and_a_training_of_two_gpus_gets_them(project: Project) -> None:
    two = "teacher={training: {gpus: 2}}"
    done = requests(
        project,
        *("--profile", "profiles/slurm", "--config", "run=codet5p", records(project.folder), two),
        SBATCH_ACCOUNT="mine",
        SBATCH_PARTITION="gpus",
    )
    assert done.returncode == 0, done.stderr
    asked = by_job(done.stdout)
    assert all(" -A mine -p gpus " in request for request in asked.values())
    assert all(" --cpus-per-gpu=4 " in request for request in asked.values()), "cores and memory come with each GPU"
    assert {job for job, request in asked.items() if request.endswith(" --gpus=2")} == {"train_teacher run=codet5p"}


def test_a_profile_that_sends_nothing_to_slurm_is_refused(project: Project) -> None:
    done = requests(project, "--profile", "profiles/local")
    assert (done.returncode, done.stdout) == (1, "")
    assert "executor local: these jobs do not go to SLURM" in done.stderr


def test_a_fault_of_the_config_is_said(project: Project) -> None:
    done = requests(project, "--profile", "profiles/delftblue", "--config", "run=codet5q")
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean `codet5p`?" in done.stderr


def test_without_an_account_nothing_starts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)
    done = project.snakemake("--profile", "profiles/delftblue", "--config", "run=tiny")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(r"^SBATCH_ACCOUNT is not set: .*\n.*export SBATCH_ACCOUNT=", said, re.MULTILINE)
    assert "Traceback" not in said
    assert not (project.folder / "results").exists()


@pytest.mark.parametrize("missing", ["SBATCH_ACCOUNT", "SBATCH_PARTITION"])
def test_each_variable_that_a_profile_names_must_be_set(missing: str) -> None:
    named = {"slurm_account": "$SBATCH_ACCOUNT", "slurm_partition": "${SBATCH_PARTITION}", "runtime": 5}
    given = {"SBATCH_ACCOUNT": "mine", "SBATCH_PARTITION": "gpus"}
    check_submission(named, given)
    with pytest.raises(UserError, match=f"{missing} is not set") as fault:
        check_submission(named, given | {missing: ""})
    assert f"export {missing}=" in fault.value.remedy


def test_a_profile_that_names_no_variable_needs_none() -> None:
    check_submission({"slurm_account": "mine"}, {})
    check_submission({}, {})
