"""What a stage that stops leaves: an exit code, two lines for a user's fault, a traceback for the program's."""

import logging
import os
from pathlib import Path

import pytest
import torch

from assertkd.errors import UserError
from assertkd.runtime.job import job
from assertkd.runtime.logs import logged_faults


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_user_error_is_two_lines_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs/stage.log"
    with pytest.raises(SystemExit) as caught, job(log):
        raise UserError("a.jsonl:3: not JSON", "Mend the line.")
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines() == ["Error: a.jsonl:3: not JSON", "Mend the line."]
    text = log.read_text(encoding="utf-8")
    assert "ERROR a.jsonl:3: not JSON\nMend the line.\n" in text
    assert "Traceback" not in text


def test_too_little_memory_is_two_lines_that_name_the_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = {"batch_size": 8, "token_budget": None, "gradient_accumulation_steps": 4, "precision": "bf16"}
    with pytest.raises(SystemExit) as caught, job(tmp_path / "stage.log", 1, {"training": training}, "teacher"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. Of the rest nothing is said.")
    assert caught.value.code == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert problem.startswith("Error: out of memory on the GPU: CUDA out of memory. Tried to allocate 2.50 GiB")
    assert "teacher.training.batch_size (now 8)" in remedy
    log = (tmp_path / "stage.log").read_text(encoding="utf-8")
    assert problem.removeprefix("Error: ") in log
    assert "Traceback" not in log


def test_another_fault_is_logged_with_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), job(tmp_path / "stage.log"):
        print(1 / 0)
    assert capsys.readouterr().err == ""
    text = (tmp_path / "stage.log").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert text.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_stage_that_ends_well_logs_to_its_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = list(logging.getLogger().handlers)
    (tmp_path / "stage.log").write_text("of an earlier run\n")
    with job(tmp_path / "stage.log", threads=2):
        assert torch.get_num_threads() == 2
        logging.getLogger("assertkd.some.stage").info("step %d", 3)
    logging.getLogger("assertkd.some.stage").info("behind it")
    lines = (tmp_path / "stage.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(" INFO ")[2] for line in lines] == ["step 3"]
    assert logging.getLogger().handlers == handlers
    assert capsys.readouterr().out == ""


def test_the_faults_that_ended_jobs_are_found_in_their_logs(tmp_path: Path) -> None:
    fault = UserError("a.jsonl:3: not JSON", "Correct the line.")
    for name in ("old", "b/first", "b/second"):
        with pytest.raises(SystemExit), job(tmp_path / f"{name}.log"):
            raise fault
    os.utime(tmp_path / "old.log", (1.0, 1.0))
    with job(tmp_path / "well.log"):
        logging.getLogger("assertkd").error("overcome")
        logging.getLogger("assertkd").info("done")
    assert logged_faults(tmp_path, since=2.0) == ["a.jsonl:3: not JSON\nCorrect the line."]
    with pytest.raises(ZeroDivisionError), job(tmp_path / "program.log"):
        print(1 / 0)
    assert logged_faults(tmp_path, since=2.0)[1].splitlines() == [
        "ZeroDivisionError: division by zero",
        f"This is a fault of the program: {tmp_path / 'program.log'} has the whole of it.",
    ]
