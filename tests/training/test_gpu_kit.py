"""The kit for one GPU, at toy size on the CPU."""

import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import psutil
import pytest
import yaml

from gpu import kit as gpu_kit
from preloaded import python

PROJECT = Path(__file__).parents[2]
KIT = PROJECT / "benchmarks/gpu/kit.py"


def kit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run([python(()), KIT, *arguments], env=environment, capture_output=True, text=True)


@pytest.mark.long
def test_every_step_runs_at_toy_size(tmp_path: Path) -> None:
    done = kit("run", "--output", tmp_path, "--toy", "--run", "quick", "--minutes", "60")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert [(step["name"], step["exit_code"]) for step in found["steps"]] == [
        ("paths", 0), ("losses demo", 0), ("cache demo", 0), ("table", 0)
    ]  # fmt: skip
    assert "hard_labels" in found["leaderboard"]
    assert "trident" in (tmp_path / "gpu.md").read_text()


def test_models_from_scratch_are_trained_without_adapters(tmp_path: Path) -> None:
    gpu_kit.table(Namespace(run="smollm", records=tmp_path / "mine.jsonl", tokenizer=None, toy=False, output=tmp_path))
    teacher = yaml.safe_load((tmp_path / "config.yaml").read_text())["runs"]["smollm"]["teacher"]
    assert teacher["model"] == {"name": "scratch", "scratch": gpu_kit.TEACHER}
    assert "lora" not in teacher


STEP = """
import signal, subprocess, sys
job = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); print('ready', flush=True); time.sleep(60)"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", job.format(sys.argv[1])])
print(child.pid, flush=True)
child.wait()
"""
"""As Snakemake does, it waits for its job when it is told to end."""


def has_ended(pid: int) -> bool:
    """Whether a process that was killed is gone within ten seconds, or waits to be collected by its new parent."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("answer", ["lambda *_: sys.exit(print('saved'))", "signal.SIG_IGN"])
def test_jobs_save_and_end_when_the_time_is_up(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_kit, "GRACE", 1.0 if answer == "signal.SIG_IGN" else 30.0)
    step = gpu_kit.take("table", [sys.executable, "-c", STEP, answer], 3.0, tmp_path)
    assert step.exit_code is None
    assert step.seconds < 20
    job, *said = step.output.split()
    assert said == (["ready"] if answer == "signal.SIG_IGN" else ["ready", "saved"])
    assert has_ended(int(job))


def test_what_is_packed_runs_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("{}\n")
    done = kit("pack", tmp_path / "packed", "--records", tmp_path / "mine.jsonl")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "packed/project/Snakefile").is_file()
    assert (tmp_path / "packed/records.jsonl").read_text() == "{}\n"
    environment = os.environ | {"PYTHON": python(())}
    started = subprocess.run(
        [tmp_path / "packed/run.sh", "--toy", "--run", "absent"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert started.returncode == 1
    assert "--run absent: no such run in config.yaml" in started.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--records", "absent"),
        ("--tokenizer", "absent"),
        ("--run", "absent"),
        ("--run", "across_projects"),
        ("--minutes", "0"),
    ],
)
@pytest.mark.parametrize("command", ["pack", "run"])
def test_options_are_checked_before_anything_is_written(
    command: str,
    option: str,
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = str(tmp_path / "new")
    place = [folder] if command == "pack" else ["--output", folder]
    monkeypatch.setattr(sys, "argv", ["kit.py", command, *place, option, value])
    assert gpu_kit.main() == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"Error: {option} {value}: ")
    assert not (tmp_path / "new").exists()
