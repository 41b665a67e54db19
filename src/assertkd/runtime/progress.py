"""Progress lines and the closing line of a job's log, and how they are found there again."""

import logging
import re
import time
from collections.abc import Mapping

LINE_SECONDS = (1.0, 15.0)
"""Least time between two progress lines at the start of a loop, and later; in between, a quarter of its time so far."""

BAR = 20
"""Characters of the bar in a progress line."""

DONE = "done: "
"""Begins the closing line of a job's log."""

PROGRESS_LINE = re.compile(r"^.* INFO (?P<text>.* \[=*\.*\] +\d+ %, .*)$", re.MULTILINE)
CLOSING_LINE = re.compile(rf"^.* INFO (?P<text>{DONE}.*)$", re.MULTILINE)
"""Lines of a log in `assertkd.runtime.logs.LOG_FORMAT`."""

log = logging.getLogger(__name__)


class Progress:
    """Logs the progress of a loop, often at first and less often later, so that a log stays readable.

    Args:
        what: name of the steps that are counted.
        total: number of steps.
        done: steps that an earlier process did.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self._what = what
        self._total = total
        self._before = done
        self._started = self._said = time.monotonic()

    def at(self, done: int, *, what: str | None = None, **values: float) -> None:
        """Log that `done` steps of the total are done, with some figures, if the last line is old enough.

        Args:
            what: in place of the name that the object has, for example with the number of the epoch.
        """
        now = time.monotonic()
        seconds = now - self._started
        shortest, longest = LINE_SECONDS
        if now - self._said < min(max(seconds / 4, shortest), longest) and done < self._total:
            return
        self._said = now
        here = done - self._before
        left = format_duration(seconds / here * (self._total - done)) if here else "?"
        share = done / max(1, self._total)
        log.info(
            "%s %d/%d [%s] %.0f %%, %s, %s left%s",
            what or self._what,
            done,
            self._total,
            ("=" * round(BAR * share)).ljust(BAR, "."),
            100 * share,
            format_duration(seconds),
            left,
            "".join(f", {figure}" for figure in format_figures(values)),
        )


def log_closing(what: str, figures: Mapping[str, float]) -> None:
    """Log a job's closing line: what was done, and the figures that a user waits for."""
    log.info("%s%s", DONE, ", ".join([what, *format_figures(figures)]))


def format_figures(figures: Mapping[str, float]) -> list[str]:
    """Return each figure behind its name, in four significant digits."""
    return [f"{name} {value:.4g}" for name, value in figures.items()]


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `42 s`, `3 min 20 s`, `2 h 15 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"
