"""The progress of jobs around Snakemake's own messages: refreshed on a terminal, plain lines in a file."""

import io
import logging
import os
import pty
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import TextIO

import pytest
from snakemake.logging import LoggerManager
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from assertkd.runtime import terminal
from assertkd.runtime.progress import BAR
from assertkd.runtime.terminal import can_refresh, fitted, show_progress
from screen import screen

Start = Callable[..., logging.Logger]


class Terminal:
    """A terminal of 24 lines and 100 columns, and all that was written to it."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, True)
        self.stream: TextIO = open(slave, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- closed by the fixture
        self.written = b""
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                self.written += os.read(self._master, 4096)
            except OSError:
                return

    def lines(self) -> list[str]:
        return screen(self.written.decode())


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(terminal.os, "get_terminal_size", lambda fileno: os.terminal_size((100, 24)))
    shown = Terminal()
    yield shown
    shown.stream.close()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that gives Snakemake's logger, set up by itself to write to a stream, with our progress."""
    monkeypatch.setattr(terminal, "REFRESH_SECONDS", 0.02)
    monkeypatch.setattr(terminal, "LINE_SECONDS", (0.0, 60.0))
    managers: list[LoggerManager] = []

    def started(stream: TextIO, *quiet: Quietness) -> logging.Logger:
        monkeypatch.setattr(sys, "stderr", stream)
        logger = logging.Logger("snakemake")
        managers.append(LoggerManager(logger, OutputSettings(quiet=set(quiet), nocolor=True)))
        show_progress(logger)
        return logger

    yield started
    for manager in managers:
        manager.stop()


def start_job(logger: logging.Logger, jobid: int, log: Path, *, is_dry: bool = False, **wildcards: str) -> None:
    if not is_dry:
        logger.info("Execute 1 jobs...", extra={"event": LogEvent.JOB_STARTED, "jobs": [jobid]})
    described = {"jobid": jobid, "rule_name": "distill_student", "rule_msg": None, "reason": "", "benchmark": None}
    described |= {"input": [], "output": [], "log": [str(log)], "wildcards": {"run": "tiny"} | wildcards}
    described |= {"priority": 0, "threads": 1, "resources": {}, "local": False, "is_checkpoint": False}
    logger.info(" Rule: …", extra=described | {"event": LogEvent.JOB_INFO})


def finish_job(logger: logging.Logger, jobid: int) -> None:
    logger.info(f"Finished jobid: {jobid}", extra={"event": LogEvent.JOB_FINISHED, "job_id": jobid})


def say(log: Path, *texts: str) -> None:
    with log.open("a", encoding="utf-8") as handle:
        handle.writelines(f"2026-01-01 12:00:00,000 INFO {text}\n" for text in texts)


def step(number: int) -> str:
    return f"epoch 1/2, step {number}/9 [{'=' * number}{'.' * (BAR - number)}] {number} %, 1 s, 2 s left, loss 0.5"


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)


def test_every_job_has_one_line_that_is_refreshed_below_the_messages(
    start: Start, tty: Terminal, tmp_path: Path
) -> None:
    logger, one, other = start(tty.stream), tmp_path / "one.log", tmp_path / "other.log"
    start_job(logger, 1, one, variant="hard_labels", seed="42")
    start_job(logger, 2, other, variant="kl", seed="7")
    say(one, "read", step(1))
    say(other, step(2))
    expected = [f"distill_student hard_labels 42  {step(1)}"[:99], f"distill_student kl 7            {step(2)}"[:99]]
    wait_for(lambda: tty.lines()[-2:] == expected)
    say(one, step(3))
    wait_for(lambda: step(3)[:50] in "\n".join(tty.lines()))
    assert sum("epoch" in line for line in tty.lines()) == 2, "refreshed in place"
    logger.info("a message of Snakemake")
    refreshed = [f"distill_student hard_labels 42  {step(3)}"[:99], expected[1]]
    wait_for(lambda: tty.lines()[-5:] == ["a message of Snakemake", "", "", *refreshed])

    say(one, "done: 9 steps in 3 s, train_loss 0.5")
    finish_job(logger, 1)
    finish_job(logger, 2)
    wait_for(lambda: "Finished jobid: 2" in tty.lines())
    assert "distill_student hard_labels 42: done: 9 steps in 3 s, train_loss 0.5" in tty.lines()
    assert not [line for line in tty.lines() if "epoch" in line], "nothing stays behind"


def test_what_a_job_writes_to_the_terminal_itself_is_not_overwritten(
    start: Start, tty: Terminal, tmp_path: Path
) -> None:
    logger = start(tty.stream)
    for jobid in (1, 2):
        log = tmp_path / f"{jobid}.log"
        start_job(logger, jobid, log, variant=f"v{jobid}", seed="42")
        say(log, step(1))
    wait_for(lambda: sum("epoch" in line for line in tty.lines()) == 2)
    with tty.stream as stream:
        stream.write("Error: the loss is not finite\nLower the learning rate.\n")
        stream.flush()
        say(tmp_path / "1.log", step(2))
        wait_for(lambda: step(2)[:50] in "\n".join(tty.lines()))
        assert tty.lines()[-6:-2] == ["Error: the loss is not finite", "Lower the learning rate.", "", ""]


def test_a_terminal_that_does_not_know_its_size_shows_80_columns(
    start: Start, tty: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.os, "get_terminal_size", lambda fileno: os.terminal_size((0, 0)))
    logger, log = start(tty.stream), tmp_path / "one.log"
    start_job(logger, 1, log, variant="kl", seed="42")
    say(log, step(1))
    wait_for(lambda: tty.lines()[-1:] == [f"distill_student kl 42  {step(1)}"[:79]])


def test_a_terminal_is_left_clean_when_snakemake_ends_early(start: Start, tty: Terminal, tmp_path: Path) -> None:
    logger, log = start(tty.stream), tmp_path / "one.log"
    start_job(logger, 1, log, variant="kl", seed="42")
    say(log, step(1))
    wait_for(lambda: "epoch" in "".join(tty.lines()[-1:]))
    for handler in list(logger.handlers):
        handler.close()
    wait_for(lambda: not [line for line in tty.lines() if "epoch" in line])


def test_a_file_gets_plain_lines_each_once(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "LINE_SECONDS", (0.0, 0.0))
    stream, log = io.StringIO(), tmp_path / "one.log"
    logger = start(stream)
    start_job(logger, 1, log, variant="kl", seed="42")
    say(log, step(1))
    wait_for(lambda: step(1) in stream.getvalue())
    say(log, step(2))
    wait_for(lambda: step(2) in stream.getvalue())
    time.sleep(0.2)
    say(log, "done: 9 steps in 3 s")
    finish_job(logger, 1)
    said = [line for line in stream.getvalue().splitlines() if line.startswith("distill_student kl 42: ")]
    assert [line.removeprefix("distill_student kl 42: ") for line in said] == [step(1), step(2), "done: 9 steps in 3 s"]
    assert "\x1b" not in stream.getvalue()


def test_plain_lines_come_less_often_the_older_a_job_is(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "LINE_SECONDS", (0.3, 60.0))
    stream, log = io.StringIO(), tmp_path / "one.log"
    logger = start(stream)
    began = time.monotonic()
    start_job(logger, 1, log, variant="kl", seed="42")
    say(log, step(1))
    wait_for(lambda: step(1) in stream.getvalue())
    first = time.monotonic() - began
    say(log, step(2))
    wait_for(lambda: step(2) in stream.getvalue())
    assert first >= 0.3
    assert time.monotonic() - began >= 2 * 0.3


def test_the_log_of_an_earlier_attempt_is_not_shown(start: Start, tmp_path: Path) -> None:
    stream, log = io.StringIO(), tmp_path / "one.log"
    say(log, step(8))
    logger = start(stream)
    start_job(logger, 1, log, variant="kl", seed="42")
    time.sleep(0.2)
    assert "epoch" not in stream.getvalue()
    log.unlink()
    say(log, step(1), "a line")
    wait_for(lambda: step(1) in stream.getvalue())
    assert step(8) not in stream.getvalue()


def test_a_dry_run_announces_jobs_and_shows_no_progress(start: Start, tty: Terminal, tmp_path: Path) -> None:
    logger, log = start(tty.stream), tmp_path / "one.log"
    start_job(logger, 1, log, is_dry=True, variant="kl", seed="42")
    say(log, step(1))
    logger.info("This was a dry-run")
    wait_for(lambda: tty.lines()[-1:] == ["This was a dry-run"])
    time.sleep(0.2)
    assert "rule distill_student:" in tty.lines()
    assert "epoch" not in "\n".join(tty.lines())


def test_quiet_and_other_logger_plugins_are_left_alone(start: Start, tmp_path: Path) -> None:
    for quietness in (Quietness.PROGRESS, Quietness.ALL):
        logger = start(io.StringIO(), quietness)
        assert [handler.get_name() for handler in logger.handlers] == ["DefaultStreamHandler"]
    logger = logging.Logger("snakemake")
    logger.addHandler(plugin := logging.NullHandler())
    show_progress(logger)
    assert logger.handlers == [plugin]


def test_a_fault_in_showing_progress_does_not_reach_snakemake(start: Start, tmp_path: Path) -> None:
    stream = io.StringIO()
    logger = start(stream)
    start_job(logger, 1, tmp_path, variant="kl", seed="42")  # a folder in place of the log
    finish_job(logger, 1)
    logger.info("broken", extra={"event": LogEvent.JOB_STARTED, "jobs": None})
    finish_job(logger, 99)
    logger.info("and on")
    assert stream.getvalue().endswith("and on\n")


@pytest.mark.parametrize(
    ("environment", "refreshes"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({}, False), ({"TERM": "xterm", "CI": "true"}, False)],
)
def test_lines_are_refreshed_only_where_they_can_be(
    environment: dict[str, str], refreshes: bool, tty: Terminal
) -> None:
    assert can_refresh(tty.stream, environment) is refreshes
    assert not can_refresh(io.StringIO(), environment)


def test_lines_fit_the_terminal() -> None:
    lines = fitted([(f"job{number}", "x" * 200) for number in range(30)], columns=80, rows=24)
    assert len(lines) == 21
    assert lines[-1] == "and 10 more"
    assert {len(line) for line in lines[:-1]} == {79}
    assert re.fullmatch(r"job0   x+", lines[0])
