"""A limit on the time that a piece of Python may take."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitError(Exception):
    """A piece of work took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` inside the block once this process has computed for `seconds` in it.

    Counted is processor time, so that a busy machine makes no difference. Only in a process's main thread.

    Raises:
        TimeLimitError: the time is over.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    # It rings again and again: an exception that a destructor happens to receive is lost.
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
