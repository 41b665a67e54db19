"""`assertkd <stage>` drives the workflow with a run that is made of options."""

import os
import subprocess
import sys

import pytest
from driver import Project

pytestmark = pytest.mark.workflow

SMALL = (
    "--data.embedded.records",
    "120",
    "--max_input_len",
    "192",
    "--max_output_len",
    "48",
    "--tokenizer.vocab_size",
    "400",
)


def assertkd(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assertkd.cli", *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )


def test_a_stage_is_run_and_its_options_hold_for_the_next(project: Project) -> None:
    done = assertkd(project, "prepare", "--output_dir", "results/small", "--teacher.model.name", "scratch", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.folder / "results/small/corpus/quality.json").is_file()
    remembered = (project.folder / "results/small/options.yaml").read_bytes()
    planned = assertkd(project, "distill", "--output_dir", "results/small", "--model_name", "scratch", "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "rule distill_student:" in planned.stdout
    assert "rule prepare_corpus:" not in planned.stdout, "the same settings as before"
    assert (project.folder / "results/small/options.yaml").read_bytes() == remembered, "a dry run is not remembered"


def test_a_fault_is_said_in_two_lines_before_any_job(project: Project) -> None:
    done = assertkd(project, "train-teacher", "--batch_size", "0", "--run", "tiny")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Error: --run tiny: not in config.yaml"
    done = assertkd(project, "train-teacher", "--batch_size", "0")
    assert done.returncode == 1
    assert "teacher.training.batch_size: must be greater than or equal to 1, not 0" in done.stderr
    assert not (project.folder / "results").exists()
