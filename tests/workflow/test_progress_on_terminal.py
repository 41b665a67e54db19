"""What a user sees of a run: progress and figures of its jobs, and what it ends with."""

import errno
import os
import pty
import re
import subprocess

import pytest
from driver import TERMINAL, Project

from assertkd.runtime.terminal import LINE_SECONDS, REFRESH_SECONDS
from preloaded import ENVIRONMENT, python
from screen import screen

pytestmark = pytest.mark.workflow

PROGRESS = r"epoch \d+/10, step \d+/\d+ \[=*\.*\] +\d+ %, .* left, loss [\d.]+, examples_per_s [\d.]+, ce [\d.]+"


def test_a_run_whose_output_is_a_file_says_its_progress_in_plain_lines(finished: Project) -> None:
    said = (finished.folder / TERMINAL).read_text(encoding="utf-8")
    lasted = re.findall(r"^(?:train_teacher|distill_student).*: done: \d+ steps in (.*?),", said, re.MULTILINE)
    # The first line of how far a training is comes at an age that those of a fast machine do not reach.
    if any("min" in time or int(time.split()[0]) > LINE_SECONDS[0] + 2 * REFRESH_SECONDS for time in lasted):
        assert re.search(rf"^(train_teacher|distill_student \w+ 42): {PROGRESS}", said, re.MULTILINE)
    for training in ("train_teacher", "distill_student hard_labels 42", "distill_student traditional 42"):
        closing = rf"^{training}: done: \d+ steps in .*, train_loss [\d.]+, validation_loss [\d.]+"
        assert len(re.findall(closing, said, re.MULTILINE)) == 1
    for model in ("teacher", "students/hard_labels/seed42", "students/traditional/seed42"):
        assert re.search(rf"^score {model}: done: \d+ predictions scored, exact_match [\d.]+, f1", said, re.MULTILINE)
    assert "\x1b" not in said, "nothing that a terminal alone understands"


def test_a_run_ends_with_its_leaderboard_and_the_place_of_the_report(finished: Project) -> None:
    lines = (finished.folder / TERMINAL).read_text(encoding="utf-8").rstrip().splitlines()
    heading = next(number for number, line in enumerate(lines) if line.split()[:2] == ["Exact", "match"])
    assert {line.split()[0] for line in lines[heading + 1 : heading + 4]} == {"teacher", "hard_labels", "traditional"}
    assert lines[-1].startswith("Report: /")


def test_a_finished_run_says_again_where_its_report_is(finished: Project) -> None:
    done = finished.snakemake("--profile", "profiles/local")
    assert "Nothing to be done" in done.stderr
    report = f"Report: {finished.folder / 'results/tiny/report/report.html'}"
    assert done.stdout.rstrip().splitlines()[-1] == report
    assert "Code quality" in done.stdout
    planned = finished.snakemake("--profile", "profiles/local", "--dry-run")
    assert "Nothing to be done" in planned.stderr + planned.stdout
    assert "Report:" not in planned.stdout


def test_a_report_that_is_older_than_a_result_is_not_shown(edited: Project) -> None:
    result = "results/tiny/students/hard_labels/seed42/training_report.json"
    (edited.folder / result).unlink()
    done = edited.snakemake("--profile", "profiles/local", result)
    assert done.returncode == 0
    said = done.stdout.rstrip().splitlines()
    assert said[-2].endswith(f"report.html is older than these results: {result}")
    assert said[-1].startswith("Make it anew with `assertkd report --run tiny --retrain`")
    assert "Code quality" not in done.stdout


def test_a_terminal_shows_each_training_in_one_line_that_is_refreshed(edited: Project) -> None:
    students = [f"results/tiny/students/{name}/seed42/training_report.json" for name in ("hard_labels", "traditional")]
    for report in students:
        (edited.folder / report).unlink()
    shown = on_terminal(edited, "--profile", "profiles/local", "--configfile", "tiny.yaml", "--", *students)
    trainings = [f"distill_student {name} 42" for name in ("hard_labels", "traditional")]
    for training in trainings:
        assert re.search(rf"\x1b\[J.*{training} +epoch \d+/10, step ", shown, re.DOTALL), shown
    lines = screen(re.sub(r"\x1b\[\d*m", "", shown))
    assert not [line for line in lines if "step" in line and "left" in line], "no progress line stays behind"
    for training in trainings:
        assert len([line for line in lines if line.startswith(f"{training}: done: ")]) == 1


def on_terminal(project: Project, *arguments: str) -> str:
    """Run Snakemake on a terminal, and return all that is written to it."""
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    process = subprocess.Popen(
        [python(), "-m", "snakemake", *arguments],
        cwd=project.folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | ENVIRONMENT | {"TERM": "xterm"},
    )
    os.close(slave)
    written = b""
    try:
        while part := os.read(master, 65536):
            written += part
    except OSError as closed:
        # Linux says so when the last writer has closed a terminal.
        if closed.errno != errno.EIO:
            raise
    finally:
        os.close(master)
    assert process.wait() == 0, written.decode()
    return written.decode()
