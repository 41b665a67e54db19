"""Progress lines of a loop."""

import logging
import time

PROGRESS_SECONDS = 15.0
"""Least time between two progress lines."""

BAR = 20
"""Characters of the bar in a progress line."""

log = logging.getLogger(__name__)


class Progress:
    """Logs the progress of a loop: at most one line every `PROGRESS_SECONDS`, so that a log stays readable.

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

    def at(self, done: int, **values: float) -> None:
        """Log that `done` steps of the total are done, with some figures, if the last line is old enough."""
        now = time.monotonic()
        if now - self._said < PROGRESS_SECONDS and done < self._total:
            return
        self._said = now
        seconds = now - self._started
        here = done - self._before
        left = seconds / here * (self._total - done) if here else float("nan")
        share = done / max(1, self._total)
        figures = "".join(f", {name} {value:.4g}" for name, value in values.items())
        log.info(
            "%s %d/%d [%s] %.0f %%, %.0f s, %.0f s left%s",
            self._what,
            done,
            self._total,
            ("=" * round(BAR * share)).ljust(BAR, "."),
            100 * share,
            seconds,
            left,
            figures,
        )
