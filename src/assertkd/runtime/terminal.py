"""What running jobs have logged of their progress, on the terminal that Snakemake was started from.

Snakemake's logger plugins replace what it writes there, and have to be installed and named. A handler around its own
one needs neither, so every command and profile has it.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import TextIO

from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from assertkd.runtime.progress import CLOSING_LINE, PROGRESS_LINE

SNAKEMAKES_HANDLER = "DefaultStreamHandler"
"""Name of the handler by which Snakemake writes to the terminal, unless a logger plugin does."""

QUIETNESS = {"quietness": Quietness.PROGRESS}
"""By which Snakemake's filter knows what `--quiet progress` leaves out."""

REFRESH_SECONDS = 1.0
"""Between two looks at the logs of the running jobs."""

LINE_SECONDS = (5.0, 60.0)
"""Where lines cannot be refreshed: the age at which a job has its first line, and the longest time between two; until
then each line doubles its age."""

MARGIN = 2
"""Empty lines above the progress lines, for a user's fault: a job writes its two lines to the terminal itself."""

TAIL_BYTES = 8192
"""The end of a log, in which its last progress line is looked for."""


def show_progress(logger: logging.Logger) -> None:
    """Show the progress of jobs below the messages that Snakemake's `logger` writes to the terminal.

    On a terminal, one line for each job, refreshed in place; in a file, a line now and then. Nothing with
    `--quiet progress`, and nothing where a logger plugin writes to the terminal in place of Snakemake.
    """
    own = next((one for one in logger.handlers if one.get_name() == SNAKEMAKES_HANDLER), None)
    if isinstance(own, logging.StreamHandler) and own.filter(logging.makeLogRecord(QUIETNESS)):
        logger.removeHandler(own)
        logger.addHandler(ProgressHandler(own, logger, is_refreshed=can_refresh(own.stream, os.environ)))


def can_refresh(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether lines of a stream can be overwritten: on a terminal that is not dumb, outside CI."""
    return stream.isatty() and environment.get("TERM", "dumb") != "dumb" and not environment.get("CI")


@dataclass
class Job:
    """A job that Snakemake has started.

    Attributes:
        name: the rule and its wildcards, without the run.
        log: the file that it logs to.
        found: state of that file when the job started, and later when it was read last; a log of an earlier attempt
            is not shown.
        progress: its last progress line; "" before the first.
        said: the line that was written last where lines are not refreshed.
        started: seconds of the monotonic clock.
        due: the time before which no further line is written.
    """

    name: str
    log: Path
    found: tuple[int, int] | None
    progress: str = ""
    said: str = ""
    started: float = field(default_factory=time.monotonic)
    due: float = 0.0

    @classmethod
    def of(cls, record: logging.LogRecord) -> "Job | None":
        """Return the job of Snakemake's record on its start; None for a rule without a log."""
        described = record.__dict__
        if not described.get("log"):
            return None
        wildcards = [value for name, value in described["wildcards"].items() if name != "run"]
        log = Path(described["log"][0])
        job = cls(" ".join([described["rule_name"], *wildcards]), log, _state(log))
        job.due = job.started + LINE_SECONDS[0]
        return job

    def read(self) -> str:
        """Return the end of its log if it has changed since the last look, else ""."""
        state = _state(self.log)
        if state in (None, self.found):
            return ""
        self.found = state
        with suppress(OSError), self.log.open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - TAIL_BYTES))
            return handle.read().decode("utf-8", errors="replace")
        return ""

    def look(self) -> str:
        """Return its last progress line, read again if its log has changed."""
        if lines := PROGRESS_LINE.findall(self.read()):
            self.progress = lines[-1]
        return self.progress


class ProgressHandler(logging.Handler):
    """Writes records by the handler that it is given, and the progress of the running jobs below.

    The cursor is left above the progress lines, not behind them: what a job itself writes to the terminal may overwrite
    them, and is never overwritten.

    Args:
        terminal: Snakemake's handler.
        logger: the logger that has this handler in place of it.
        is_refreshed: whether lines of its stream can be overwritten.
    """

    def __init__(
        self, terminal: "logging.StreamHandler[TextIO]", logger: logging.Logger, *, is_refreshed: bool
    ) -> None:
        super().__init__()
        self._terminal, self._logger, self._is_refreshed = terminal, logger, is_refreshed
        self._started: set[int] = set()
        self._jobs: dict[int, Job] = {}
        self._is_drawn = False
        self._ended = Event()
        self._thread = Thread(target=self._refresh, name="progress", daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record above the progress lines, and see which jobs it starts or ends."""
        self._erase()
        self._terminal.handle(record)
        # Whatever fails in showing progress, the run goes on.
        with suppress(Exception):
            self._follow(record)
        self._draw()

    def close(self) -> None:
        """Erase the progress lines."""
        self._ended.set()
        # Not while the other thread draws.
        self.acquire()
        try:
            with suppress(OSError, ValueError):
                self._erase()
        finally:
            self.release()
        self._terminal.close()
        super().close()

    def _follow(self, record: logging.LogRecord) -> None:
        event, described = getattr(record, "event", None), record.__dict__
        if event == LogEvent.JOB_STARTED:
            # A dry run announces jobs, and starts none.
            self._started.update(described["jobs"])
            if self._thread.ident is None:
                self._thread.start()
        elif event == LogEvent.JOB_INFO and described["jobid"] in self._started:
            if job := Job.of(record):
                self._jobs[described["jobid"]] = job
        elif event == LogEvent.JOB_ERROR:
            self._jobs.pop(described["jobid"], None)
        elif event == LogEvent.JOB_FINISHED and (job := self._jobs.pop(described["job_id"], None)):
            job.found = None
            if closing := CLOSING_LINE.findall(job.read()):
                self._logger.info(f"{job.name}: {closing[-1]}", extra=QUIETNESS)

    def _refresh(self) -> None:
        while not self._ended.wait(REFRESH_SECONDS):
            with suppress(Exception):
                self.acquire()
                try:
                    self._draw()
                    due = [] if self._is_refreshed else self._lines_due()
                finally:
                    self.release()
                for line in due:
                    self._logger.info(line, extra=QUIETNESS)

    def _lines_due(self) -> list[str]:
        now, lines = time.monotonic(), []
        for job in self._jobs.values():
            if now >= job.due and job.look() != job.said:
                job.said = job.progress
                job.due = now + min(now - job.started, LINE_SECONDS[1])
                lines.append(f"{job.name}: {job.progress}")
        return lines

    def _draw(self) -> None:
        if not self._is_refreshed or self._ended.is_set():
            return
        shown = [(job.name, job.progress) for job in self._jobs.values() if job.look()]
        if not shown and not self._is_drawn:
            return
        size = os.get_terminal_size(self._terminal.stream.fileno())
        # Some terminals say 0.
        lines = fitted(shown, size.columns or 80, size.lines or 24)
        lines = [""] * MARGIN * bool(lines) + lines
        back = f"\r\x1b[{len(lines) - 1}A" if len(lines) > 1 else "\r"
        self._write("\x1b[J" + "\n".join(lines) + back * bool(lines))
        self._is_drawn = bool(lines)

    def _erase(self) -> None:
        if self._is_drawn:
            self._write("\x1b[J")
            self._is_drawn = False

    def _write(self, text: str) -> None:
        self._terminal.stream.write(text)
        self._terminal.stream.flush()


def fitted(shown: Sequence[tuple[str, str]], columns: int, rows: int) -> list[str]:
    """Return a line for each job's name and progress that fits the terminal, and how many jobs do not fit."""
    most = max(1, rows - MARGIN - 2)
    width = max((len(name) for name, _ in shown[:most]), default=0)
    lines = [f"{name.ljust(width)}  {progress}"[: columns - 1] for name, progress in shown[:most]]
    return lines + [f"and {len(shown) - most} more"] * (len(shown) > most)


def _state(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return None
