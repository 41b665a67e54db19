"""Trainings that are killed while the workflow runs: it starts them again, and nobody can tell it from the results."""

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from driver import Project

from assertkd.training.tables import MEASURED

pytestmark = pytest.mark.workflow

TEACHER, STUDENT = "teacher", "students/traditional/seed42"


class Assassin(threading.Thread):
    """Sends signals to the processes that train a model, each at a random moment of another part of the training.

    Args:
        folder: the model's folder.
        signals: one after the other, each to a process of its own.
        steps: optimizer steps of the training.
        seed: of the moments.
    """

    def __init__(self, folder: Path, signals: Sequence[signal.Signals], steps: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.checkpoints, self.signals, self.random = folder / "checkpoints", signals, random.Random(seed)
        # The last fifth is left in peace, lest the training ends before the last signal.
        width = 0.8 * steps / len(signals)
        self.moments = [int(width * (n + self.random.random())) for n in range(len(signals))]
        self.victims: list[int] = []

    def run(self) -> None:
        for number, moment in zip(self.signals, self.moments, strict=True):
            while self.steps_logged() <= moment or self.process() in (None, *self.victims):
                time.sleep(0.001)
            time.sleep(self.random.uniform(0.0, 0.02))
            victim = self.process()
            assert victim is not None
            self.victims.append(victim)
            os.kill(victim, number)

    def steps_logged(self) -> int:
        try:
            return (self.checkpoints / "logs/step_metrics.csv").read_bytes().count(b"\n") - 1
        except OSError:
            return -1

    def process(self) -> int | None:
        try:
            lock = self.checkpoints.with_name(f".{self.checkpoints.name}.lock.json")
            return int(json.loads(lock.read_text(encoding="utf-8"))["pid"])
        except (OSError, ValueError):
            return None


def table(path: Path) -> str:
    """Return a table's text without the columns that are measured."""
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [index for index, name in enumerate(lines[0]) if name not in MEASURED]
    return "\n".join(",".join(line[index] for index in kept) for line in lines)


def assert_same_results(run: Path, other: Path, model: str) -> None:
    for name in ("final_model/model.safetensors", "multi_component_loss_summary.json"):
        assert (run / model / name).read_bytes() == (other / model / name).read_bytes(), name
    for name in ("step_metrics.csv", "training_metrics.csv"):
        assert table(run / model / name) == table(other / model / name), name
    predictions = [folder / "evaluation" / model / "predictions.jsonl" for folder in (run, other)]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()
    assert not (run / model / "checkpoints").exists()


def killed_run(
    project: Project, finished: Project, signals: dict[str, Sequence[signal.Signals]], seed: int
) -> dict[str, Assassin]:
    """Train the finished run's models again while their processes are killed, and compare the results."""
    run, whole = project.folder / "results/tiny", finished.folder / "results/tiny"
    for name in ("teacher", "logits", "students", "evaluation", "report"):
        shutil.rmtree(run / name)
    assassins = {}
    for model, numbers in signals.items():
        steps = json.loads((whole / model / "training_report.json").read_text())["optimizer_steps"]
        assassins[model] = Assassin(run / model, numbers, steps, seed)
        assassins[model].start()
    retries = str(max(map(len, signals.values())))
    wanted = [f"results/tiny/evaluation/{model}/predictions.jsonl" for model in signals]
    done = project.snakemake("--profile", "profiles/local", "--retries", retries, *wanted, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    for model, assassin in assassins.items():
        assert len(assassin.victims) == len(signals[model]), "the training ended too early"
        attempts = json.loads((run / model / "training_report.json").read_text())["attempts"]
        assert attempts[-1]["step"] > 0, "it continued"
        assert_same_results(run, whole, model)
    return assassins


def test_killed_trainings_end_as_if_nothing_had_happened(edited: Project, finished: Project) -> None:
    killed_run(
        edited,
        finished,
        {
            TEACHER: [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL],
            STUDENT: [signal.SIGUSR1, signal.SIGKILL],
        },
        seed=1,
    )
    log = (edited.folder / "results/tiny/teacher/distillation_log.txt").read_text(encoding="utf-8")
    assert "SIGTERM asked this process to stop (exit code 143): after step" in log
    assert "the process before ended between checkpoints" in log
    assert "the process before was stopped by SIGTERM" in log


@pytest.mark.long
def test_a_changed_variant_says_what_its_checkpoint_is_of(edited: Project) -> None:
    model = edited.folder / "results/tiny" / STUDENT
    shutil.rmtree(model)
    assassin = Assassin(model, [signal.SIGTERM], steps=30, seed=1)
    assassin.start()
    report = f"results/tiny/{STUDENT}/training_report.json"
    stopped = edited.snakemake("--profile", "profiles/local", report)
    assert stopped.returncode != 0
    assert "SIGTERM asked this process to stop (exit code 143)" in stopped.stdout + stopped.stderr
    changed = {"variants": {"traditional": {"loss": {"temperature": 3.0}}}}
    refused = edited.snakemake("--profile", "profiles/local", report, **changed)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "holds the checkpoint of another training: loss.temperature was 4.0, is 3.0" in said
    assert f"rm -r 'results/tiny/{STUDENT}/checkpoints'" in said
    assert "Traceback" not in said
    changed["variants"]["traditional"]["training"] = {"on_checkpoint_mismatch": "discard"}
    done = edited.snakemake("--profile", "profiles/local", report, **changed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads((edited.folder / report).read_text())["attempts"]) == 1


@pytest.mark.long
@pytest.mark.parametrize("model", [TEACHER, STUDENT])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_twenty_kills_leave_no_trace(edited: Project, finished: Project, model: str, number: signal.Signals) -> None:
    if model == STUDENT:
        # It needs the teacher's own files, which are the finished run's.
        killed_run(edited, finished, {TEACHER: [signal.SIGKILL], STUDENT: [number] * 20}, seed=number)
    else:
        killed_run(edited, finished, {TEACHER: [number] * 20}, seed=number)
