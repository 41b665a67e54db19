"""Two processes act as one: what they sum and share, how they stop, and that they do not outlive their parent."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stages_in_processes import Numbers, refuse, run_out, sums

from assertkd.errors import UserError
from assertkd.files import read_json
from assertkd.settings import TrainingSettings, load_run
from assertkd.students.distill_student import distill_student
from assertkd.students.params import DistillStudentParams
from assertkd.teacher.params import TrainTeacherParams
from assertkd.teacher.train_teacher import train_teacher
from assertkd.training.parallel.launch import from_json, run_in_processes, to_json
from assertkd.training.parallel.process_group import ProcessGroup

HERE = Path(__file__).parent
PATIENCE = 600.0
"""Seconds for two processes to start on a busy machine."""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, preloaded: None) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def test_alone_everything_is_its_own_sum() -> None:
    group = ProcessGroup()
    assert (group.rank, group.size, group.is_first) == (0, 1, True)
    weight = torch.nn.Parameter(torch.zeros(2))
    group.sum_gradients([weight])
    assert weight.grad is None
    assert group.sums(1.0, 2.0) == [1.0, 2.0]
    assert group.gathered({"a": 1}) == [{"a": 1}]
    group.wait()


def test_arguments_survive_the_journey(tmp_path: Path) -> None:
    arguments = {
        "folder": tmp_path,
        "numbers": Numbers(TrainingSettings(lr=0.25, max_train_samples=None), (1.5, 2.0)),
        "absent": None,
    }
    assert from_json(sums, to_json(sums, arguments)) == arguments


def test_stages_arguments_survive_too(tmp_path: Path) -> None:
    variant = {"loss": {"components": ["kl", "semantic"]}, "on_policy": {"fraction": 0.3}}
    run = load_run({"run": "r", "runs": {"r": {}}, "variants": {"v": variant}})
    arguments = {
        "params": DistillStudentParams.from_run(run, "v"),
        "seed": 7,
        "corpus": tmp_path,
        "logits": None,
        "embeddings": [tmp_path / "e" / "train.safetensors"],
        "config": {"seeds": [1, 2], "runs": {"r": None}},
    }
    assert from_json(distill_student, json.loads(json.dumps(to_json(distill_student, arguments)))) == arguments
    of_teacher = {"params": TrainTeacherParams.from_run(run), "corpus": tmp_path, "config": None}
    assert from_json(train_teacher, to_json(train_teacher, of_teacher)) == of_teacher


def test_processes_share_sums_threads_and_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers = Numbers(TrainingSettings(lr=0.25), (1.0, 0.5))
    with caplog.at_level(logging.INFO, logger="assertkd"):
        run_in_processes(sums, 2, {"folder": tmp_path, "numbers": numbers, "absent": None})
    assert "2 processes of 1 threads each" in caplog.text
    both = [read_json(tmp_path / f"{rank}.json") for rank in range(2)]
    for one in both:
        assert one["size"] == 2
        assert one["gradients"] == [[[1.0] * 3] * 2, [3.0, 30.0]]
        assert one["sum"] == [2.0, 1.0]
        assert one["sums"] == [3.0, 1.5]
        assert one["gathered"] == [["", 0], ["ä", 1]]
        assert (one["lr"], one["absent"], one["threads"]) == (0.25, None, 1)


def test_a_users_fault_in_one_process_is_the_stages(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is wrong") as caught:
        run_in_processes(refuse, 2, {"folder": tmp_path})
    assert caught.value.remedy == "Mend it."


def test_too_little_memory_of_one_process_reaches_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assertkd.training.parallel.launch.GRACE", 1.0)
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        run_in_processes(run_out, 2, {"folder": tmp_path})


PARENT = """
import sys
from pathlib import Path
from stages_in_processes import await_signal
from assertkd.training.parallel.launch import run_in_processes
run_in_processes(await_signal, 2, {"folder": Path(sys.argv[1])})
"""


def started(folder: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Return a parent whose two processes wait for a signal, and their numbers."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)])
    ready = [folder / f"ready-{rank}" for rank in range(2)]
    until(lambda: parent.poll() is not None or all(path.exists() and path.read_text() for path in ready))
    return parent, [int(path.read_text()) for path in ready]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"


def test_signals_and_exit_codes_are_passed_on(tmp_path: Path) -> None:
    parent, children = started(tmp_path)
    parent.send_signal(signal.SIGUSR1)
    assert parent.wait(PATIENCE) == 75
    assert [read_json(tmp_path / f"{rank}.json") for rank in range(2)] == [signal.SIGUSR1] * 2
    assert not any(map(alive, children))


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    parent, children = started(tmp_path)
    assert all(map(alive, children))
    parent.kill()
    parent.wait()
    until(lambda: not any(map(alive, children)))
