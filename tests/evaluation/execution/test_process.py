"""What a process says is not believed: a broken answer ends it, and neither sending nor receiving waits for ever."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assertkd.errors import UserError
from assertkd.evaluation.execution import compiler, process
from assertkd.evaluation.execution.compiler import Compiler, Unit
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.process import DeadlinePassedError
from assertkd.evaluation.execution.runner import DIED, PASSED, TIMED_OUT, Runner

PROGRAM = """#!PYTHON -IS
import sys, time
named = {path.rpartition("/")[2]: path for path in sys.argv}
requests, replies = open(named["requests"]), open(named["replies"], "w")
replies.write("ready\\n")
replies.flush()
CODE
"""
"""In place of `java`."""

ANSWER = """word = requests.readline().split("\\t")[0]
replies.write(f"{word}\\tpassed\\tclean\\t1\\t\\n")  # The empty test that comes first.
replies.flush()
word = requests.readline().split("\\t")[0]
replies.buffer.write({reply})
replies.flush()
time.sleep(60)
"""

Java = Callable[[str], Path]


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Java:
    """Return what writes a program that takes the place of `java`, and is run as this process's user."""
    monkeypatch.setattr(process, "may_be_anybody", lambda: False)

    def write(code: str) -> Path:
        path = tmp_path / "java"
        path.write_text(PROGRAM.replace("PYTHON", sys.executable).replace("CODE", code), encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


def runner(java: Path, folder: Path) -> Runner:
    return Runner(java, None, folder, folder, [], [], folder, 64)


@pytest.mark.parametrize(
    ("reply", "ended"),
    [
        ('f"{word}\\tpassed\\tclean\\t12\\t\\n".encode()', PASSED),
        ('f"{word}\\tpassed\\tclean\\t12\\n".encode()', DIED),
        ('f"{word}\\tpassed\\tclean\\t12\\t\\t\\n".encode()', DIED),
        ('f"{word}\\tpassed\\tclean\\ttwelve\\t\\n".encode()', DIED),
        ('f"{word}\\tpassed\\tclean\\t-5\\t\\n".encode()', DIED),
        ('f"{word}\\tpassed\\tclean\\t{10**30}\\t\\n".encode()', DIED),
        ('b"other\\tpassed\\tclean\\t12\\t\\n"', DIED),
        ('b"\\xff\\xfe\\n"', DIED),
        ('b"x" * 10**6', DIED),
        ('b"passed"', TIMED_OUT),
    ],
)
def test_a_broken_answer_is_none(java: Java, folder: Path, reply: str, ended: str) -> None:
    with runner(java(ANSWER.replace("{reply}", reply)), folder) as running:
        assert running.run("T", "t", [folder], 2.0).ended == ended
        assert running.is_running == (ended == PASSED)


def test_a_process_that_takes_no_request_ends_in_time(java: Java, folder: Path) -> None:
    with runner(java("time.sleep(600)"), folder) as running:
        running.start()
        started = time.monotonic()
        with pytest.raises(DeadlinePassedError):
            running.send(b"x" * (1 << 20), started + 0.5)
        assert time.monotonic() - started < 10


def test_the_pipes_have_no_names_once_they_are_open(java: Java, folder: Path) -> None:
    with runner(java("time.sleep(600)"), folder) as running:
        running.start()
        assert list(folder.with_name("home-pipes").iterdir()) == []


def test_a_process_that_does_not_become_ready_is_said(folder: Path, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    java.chmod(0o755)
    with pytest.raises(UserError, match="a JVM with 64 MiB of heap did not start"), runner(java, folder) as running:
        running.run("T", "t", [folder], 1.0)


def test_a_compiler_that_goes_on_with_one_unit_for_ever_is_ended(
    java: Java, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "UNIT_SECONDS", 1.0)
    code = """requests.read(1)
for _ in range(100):
    replies.buffer.write((2).to_bytes(4, "big"))
    replies.flush()
    time.sleep(0.2)
"""
    with Compiler(Toolchain(java(code), 17, ()), None, [], folder) as endless:
        errors = endless.compile([Unit(folder / "1", {"A.java": "class A { }"})])
    assert errors == ["the compiler did not come to an end"]


@pytest.mark.parametrize(
    "numbers",
    [
        "0, 2**32 - 1",
        "0, 2**30",
        "0, 2**16 + 1",
        # No error, a file with a name of two letters: above the folder, then at the root.
        "0, 0, 1, 2, b'..', 1, b'x'",
        "0, 0, 1, 2, b'/x', 1, b'x'",
        "0, 0, 1, 1, b'x', 2**30",
        "0, 0, 2**30, *[1, b'x', 0] * 70_000",
    ],
)
def test_a_compiler_that_says_nonsense_has_compiled_nothing(java: Java, folder: Path, numbers: str) -> None:
    answer = f"b''.join(one if isinstance(one, bytes) else one.to_bytes(4, 'big') for one in [{numbers}])"
    code = f"requests.read(1); replies.buffer.write({answer}); replies.flush(); time.sleep(60)"
    toolchain = Toolchain(java(code), 17, ())
    with Compiler(toolchain, None, [], folder) as running:
        assert running.compile([Unit(folder / "1", {"A.java": "class A { }"})]) == ["the compiler crashed"]
    assert list(folder.iterdir()) == []
