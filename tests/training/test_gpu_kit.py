"""The kit for one GPU, at toy size on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
KIT = PROJECT / "benchmarks/gpu/kit.py"


def kit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run([sys.executable, KIT, *arguments], env=environment, capture_output=True, text=True)


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


def test_what_is_packed_runs_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("{}\n")
    done = kit("pack", tmp_path / "packed", "--records", tmp_path / "mine.jsonl", "--run", "absent")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "packed/project/Snakefile").is_file()
    assert (tmp_path / "packed/records.jsonl").read_text() == "{}\n"
    environment = os.environ | {"PYTHON": sys.executable}
    started = subprocess.run(
        [tmp_path / "packed/run.sh", "--toy"], cwd="/", env=environment, capture_output=True, text=True
    )
    assert started.returncode == 1
    assert "--run absent: no such run in config.yaml" in started.stderr
