"""Signals that ask a process to stop: SIGTERM, SIGUSR1 (what SLURM sends before its limit) and Ctrl-C."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopRequested(SystemExit):
    """A signal asked the process to stop, which ends with the exit code 128 + the signal's number, as in shells.

    The workflow counts such a job as failed, and its `retries` start it again.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(128 + number)
        self.signal = number

    def __str__(self) -> str:
        return f"{self.signal.name} asked this process to stop (exit code {self.code})"


class StopSignals:
    """A context in which a stopping signal raises `StopRequested`: at once, or after a block that must not be cut.

    Only the first signal raises, so that further ones do not disturb what the exception starts, such as saving.
    In any thread but the main one it does nothing, since Python handles signals in the main thread alone.

    Args:
        agree: for several processes that have to stop at the same place: returns the largest of the numbers that they
            call it with, 0 without a signal. A signal then raises only after such a block, in all of them.

    Attributes:
        received: the first signal so far, or None.
    """

    def __init__(self, agree: Callable[[int], int] | None = None) -> None:
        self.received: signal.Signals | None = None
        self._agree = agree
        self._deferring = agree is not None
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                self._former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *fault: object) -> None:
        for number, handler in self._former.items():
            # None where the handler was not set by Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block run to its end; a signal that came by then raises after it."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = self._agree is not None
        if self._agree is not None:
            number = self._agree(self.received or 0)
            self.received = signal.Signals(number) if number else None
        if self.received is not None:
            raise StopRequested(self.received)

    def hold(self) -> None:
        """Only note signals from now on: the rest of the work is short, and the result would be lost without it."""
        self._deferring = True

    def _receive(self, number: int, frame: object) -> None:
        if self.received is not None:
            return
        self.received = signal.Signals(number)
        if not self._deferring:
            raise StopRequested(self.received)


def leave_usr1_to_jobs() -> None:
    """Ignore SIGUSR1 in Snakemake's own process and in the shells that it starts.

    SLURM sends it to all processes of a job. It would end Snakemake, and the job with it; jobs set their own handlers.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def ignore_stop_signals() -> None:
    """Ignore stopping signals in this process: its parent, which gets them too, decides when it ends."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
