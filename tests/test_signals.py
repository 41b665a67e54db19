"""A stopping signal ends a block at once, or behind what must be whole; the process's own handlers come back."""

import logging
import os
import signal
from pathlib import Path

import pytest

from assertkd.runtime.job import job
from assertkd.signals import STOPPING, StopRequested, StopSignals


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_raises_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(StopRequested) as stopped, StopSignals():
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was missed")
    assert (stopped.value.signal, stopped.value.code) == (number, 128 + number)
    assert signal.getsignal(number) is before


def test_a_deferred_block_runs_to_its_end() -> None:
    done = []
    with pytest.raises(StopRequested), StopSignals() as signals:
        with signals.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the block")
        done.append("behind it")
    assert done == ["the block"]


def test_only_the_first_signal_raises() -> None:
    with StopSignals() as signals:
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received is signal.SIGUSR1
        # What got lost, say in a destructor, is caught up behind the next block.
        with pytest.raises(StopRequested), signals.deferred():
            pass


def test_a_stopped_job_says_so_and_ends_with_a_code_that_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped, job(tmp_path / "stage.log"):
        logging.getLogger("assertkd.stage").info("at work")
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.code == 143
    said = (tmp_path / "stage.log").read_text(encoding="utf-8").splitlines()
    assert said[-1].endswith("WARNING SIGTERM asked this process to stop (exit code 143)")
