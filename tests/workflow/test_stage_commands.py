"""`assertkd <stage>` drives the workflow with a run that is made of options."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from driver import Project

from assertkd.settings.section import merged_over
from preloaded import ENVIRONMENT, python

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


def assertkd(project: Project, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python(), "-m", "assertkd.cli", *arguments],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | ENVIRONMENT | environment,
    )


def with_tiny(project: Project) -> Project:
    """Put the tiny run into the project's config.yaml, where commands find it."""
    file = project.folder / "config.yaml"
    both = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (file, project.folder / "tiny.yaml")]
    file.write_text(yaml.safe_dump(merged_over(*both)), encoding="utf-8")
    return project


def state(folder: Path) -> dict[str, int]:
    """Return when each file in and below a folder was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_stage_is_run_and_its_settings_hold_for_the_next(project: Project) -> None:
    small = ("--output_dir", "results/small")
    done = assertkd(project, "prepare", *small, "--data.source", "embedded", "--teacher.model.name", "scratch", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Run `small`: new" in done.stdout
    assert (project.folder / "results/small/corpus/quality.json").is_file()
    kept = (project.folder / "results/small/config.yaml").read_bytes()
    planned = assertkd(project, "distill", *small, "--model_name", "scratch", "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert 'variants.student.model.name: "scratch", was "Salesforce/codet5p-220m"' in planned.stdout
    assert "rule distill_student:" in planned.stdout
    assert "rule prepare_corpus:" not in planned.stdout, "the same settings as before"
    assert (project.folder / "results/small/config.yaml").read_bytes() == kept, "a dry run is not kept"
    with_file = project.snakemake(
        *("--profile", "profiles/local", "--dry-run", "results/small/corpus/quality.json"),
        *("--configfile", "results/small/config.yaml"),
        tiny=False,
    )
    assert "Nothing to be done" in with_file.stdout + with_file.stderr
    # A profile that names a run: the command's own holds.
    profile = project.folder / "profiles/own/config.yaml"
    profile.parent.mkdir()
    profile.write_text("cores: 1\nconfig: [run=demo]\n", encoding="utf-8")
    planned = assertkd(project, "train-teacher", *small, "--profile", "profiles/own", "--dry-run")
    assert "results/small/teacher/final_model" in planned.stdout, planned.stdout + planned.stderr
    assert "results/demo" not in planned.stdout


def test_finished_results_are_made_again_only_when_asked(edited: Project) -> None:
    project = with_tiny(edited)
    before = state(project.folder / "results")
    done = assertkd(project, "report", "--run", "tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Run `tiny`: settings of config.yaml (runs.tiny)\n" in done.stdout
    edit = ("score", "--run", "tiny", "--teacher.training.lr", "0.001")
    done = assertkd(project, *edit)
    assert done.returncode == 1
    listed = "  results/tiny/teacher (train_teacher)\n      teacher.training.lr: 0.001, was 0.004\n"
    assert listed in done.stdout
    assert "  results/tiny/logits (compress_logits)\n      made from results that are made again\n" in done.stdout
    problem, remedy = done.stderr.splitlines()[-2:]
    assert problem.startswith("Error: score: would make finished results of the run `tiny` again")
    assert "Add --retrain" in remedy
    planned = assertkd(project, *edit, "--dry-run")
    assert planned.returncode == 0
    assert listed in planned.stdout
    assert state(project.folder / "results") == before, "nothing was touched"
    # The report sums up; it is made again unasked.
    done = assertkd(project, "report", "--run", "tiny", "--report.title", "other")
    assert done.returncode == 0, done.stdout + done.stderr
    # What is asked for is done, and no more.
    done = assertkd(project, "score", "--run", "tiny", "--evaluation.bootstrap_resamples", "300", "--retrain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "evaluation.bootstrap_resamples: 300, was 200" in done.stdout
    changed = {path for path, time in state(project.folder / "results").items() if before.get(path) != time}
    assert {Path(path).relative_to(project.folder / "results/tiny").parts[0] for path in changed} == {
        "evaluation",
        "report",
    }


def test_a_config_is_kept_only_once_its_run_starts(project: Project) -> None:
    prepare = ("prepare", "--output_dir", "results/own")
    scratch = ("--teacher.model.name", "scratch", "--distillation.model.name", "scratch")
    kept = project.folder / "results/own/config.yaml"
    lock = project.folder / ".snakemake/locks/0.output.lock"

    def refused(*options: str) -> None:
        """A command that passes every check of its own, and that Snakemake refuses before the first job."""
        profile = ("--profile", "profiles/delftblue")
        done = assertkd(project, *prepare, *options, *profile, SBATCH_ACCOUNT="")
        assert done.returncode == 1
        assert done.stderr.splitlines()[-2].startswith("Error: SBATCH_ACCOUNT is not set"), done.stdout + done.stderr

    refused("--data.source", "embedded", *scratch, *SMALL)
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("results/own/corpus/train.jsonl\n", encoding="utf-8")
    done = assertkd(project, *prepare, "--data.source", "embedded", *scratch, *SMALL)
    assert done.stderr.splitlines()[-2] == ("Error: prepare: Snakemake is at work in this folder, or was killed at it")
    project.snakemake("--unlock", tiny=False)
    assert not kept.exists()
    done = assertkd(project, *prepare, "--data.source", "embedded", *scratch, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    before = kept.read_bytes()
    refused("--data.split_seed", "7", "--retrain")
    assert kept.read_bytes() == before
    # One that has nothing to do is not refused.
    done = assertkd(project, *prepare, "--report.title", "other")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "prepare: all results are finished, in results/own/corpus" in done.stdout
    assert done.stdout.rstrip().endswith("The run `own` has no full report yet.")
    assert yaml.safe_load(kept.read_text(encoding="utf-8"))["runs"]["own"]["report"]["title"] == "other"
    # Without Snakemake's records, settings cannot be compared with those of the results.
    shutil.rmtree(project.folder / ".snakemake/metadata")
    done = assertkd(project, *prepare, "--data.split_seed", "7", "--dry-run")
    assert "Snakemake has no record of the settings that they were made with" in done.stdout


def test_snakemake_itself_announces_that_it_trains_a_finished_teacher_again(edited: Project) -> None:
    notice = "Warning: the finished teacher is trained again (results/tiny/teacher):\n  "
    for edit, cause in (
        ({"teacher": {"training": {"lr": 0.5}}}, "teacher.training.lr: 0.5, was 0.004"),
        ({"data": {"embedded": {"records": 130}}}, "data.embedded.records: 130, was 120"),
    ):
        plan = edited.snakemake("--profile", "profiles/local", "--dry-run", runs={"tiny": edit})
        assert notice + cause in plan.stdout + plan.stderr
    student = {"distillation": {"training": {"lr": 0.5}}}
    plan = edited.snakemake("--profile", "profiles/local", "--dry-run", runs={"tiny": student})
    assert "the finished teacher" not in plan.stdout + plan.stderr


def test_what_cannot_be_done_is_said_in_two_lines_before_any_job(project: Project) -> None:
    scratch = ("--model_name", "scratch", "--teacher.model.name", "scratch")
    for arguments, problem in (
        (("--data.source", "embedded", "--fp16", *scratch), "variants.student.training.precision: fp16"),
        (("--data.source", "embedded", "--device", "cuda:0", *scratch), "variants.student.training.device: cuda:0"),
        (("--data.source", "embedded", "--teacher.model.name", "scratch"), "variants.student.model.name: Salesforce"),
        (("--train_data_path", "absent.jsonl"), "data.train_file: absent.jsonl: no such file"),
    ):
        done = assertkd(project, "distill", "--output_dir", "results/own", *arguments, CUDA_VISIBLE_DEVICES="")
        assert done.returncode == 1, done.stdout + done.stderr
        # Without network it lacks the encoder too, which is a line of its own.
        assert f"\nError: {problem}" in f"\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert not (project.folder / "results").exists()


def test_a_profile_that_is_not_there_is_said(project: Project) -> None:
    done = assertkd(project, "prepare", "--run", "demo", "--profile", "profiles/absent")
    assert done.returncode == 1
    problem, remedy = done.stderr.splitlines()[-2:]
    assert problem.startswith("Error: profile directory given (profiles/absent)")
    assert remedy == "Correct these arguments, or those in the profile."


def test_the_fault_of_a_job_stands_last(project: Project) -> None:
    (project.folder / "records.jsonl").write_text('{"focal_method": "int f()"}\n', encoding="utf-8")
    done = assertkd(
        *(project, "prepare", "--output_dir", "results/own", "--train_data_path", "records.jsonl"),
        *("--teacher.model.name", "scratch", "--data.on_bad_record", "error"),
    )
    assert done.returncode == 1
    problem, remedy = done.stderr.splitlines()[-2:]
    assert problem.startswith("Error: records.jsonl:1: test_method is missing")
    assert "data.on_bad_record" in remedy


def test_a_fault_is_said_in_two_lines_before_any_job(project: Project) -> None:
    done = assertkd(project, "train-teacher", "--batch_size", "0", "--run", "tiny")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Error: --run tiny: not in config.yaml"
    done = assertkd(project, "train-teacher", "--data.source", "embedded", "--batch_size", "0")
    assert done.returncode == 1
    assert "teacher.training.batch_size: must be greater than or equal to 1, not 0" in done.stderr
    assert not (project.folder / "results").exists()
