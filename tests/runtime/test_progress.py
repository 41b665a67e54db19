"""Progress lines: how often they come, what they say, and that they are found again in a log."""

import logging
from pathlib import Path

import pytest

from assertkd.runtime import progress
from assertkd.runtime.logs import attached
from assertkd.runtime.progress import CLOSING_LINE, PROGRESS_LINE, Progress, format_duration, log_closing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one number."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_often_at_first_and_less_often_later(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loop, seconds = Progress("step", 3601), []
    for step in range(1, 3601):
        clock[0] += 1.0
        before = len(caplog.records)
        loop.at(step)
        seconds += [step] * (len(caplog.records) - before)
    assert seconds[:8] == [1, 2, 3, 4, 6, 8, 11, 15]
    assert {late - early for early, late in zip(seconds[-50:], seconds[-49:], strict=False)} == {15}


def test_a_line_says_how_far_the_loop_is_and_what_is_left(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loop = Progress("step", 400, done=100)
    clock[0] += 50.0
    loop.at(200, what="epoch 2/4, step", loss=0.123456, examples_per_s=69.94)
    assert caplog.messages == [
        "epoch 2/4, step 200/400 [==========..........] 50 %, 50 s, 1 min 40 s left, loss 0.1235, examples_per_s 69.94"
    ]
    loop.at(400)
    assert caplog.messages[-1] == "step 400/400 [====================] 100 %, 50 s, 0 s left", (
        "the last is said at once"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.9, "1 h 0 min"), (8100, "2 h 15 min")],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_progress_and_closing_lines_are_found_in_the_log_of_a_job(tmp_path: Path) -> None:
    log, package = tmp_path / "job.log", logging.getLogger("assertkd")
    package.setLevel(logging.INFO)
    with attached(logging.FileHandler(log, encoding="utf-8"), package):
        package.info("10 of 20 [records] are read")
        Progress("predicted", 1).at(1)
        log_closing("449 predictions scored", {"exact_match": 0.60356})
    text = log.read_text(encoding="utf-8")
    assert PROGRESS_LINE.findall(text) == ["predicted 1/1 [====================] 100 %, 0 s, 0 s left"]
    assert CLOSING_LINE.findall(text) == ["done: 449 predictions scored, exact_match 0.6036"]
