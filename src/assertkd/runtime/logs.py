"""Handlers for the package's log."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assertkd.errors import printable


@contextmanager
def logged_to_stderr() -> Iterator[None]:
    """Send the package's log, and other packages' warnings, to standard error while the block runs."""
    logging.getLogger("assertkd").setLevel(logging.INFO)
    with attached(logging.StreamHandler(sys.stderr), logging.getLogger()):
        yield


LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<level>[A-Z]+) ", re.MULTILINE)
PROGRAM_FAULT = "stopped by a fault of the program"
"""Message of a job's log whose traceback follows."""


def logged_faults(folder: Path, since: float) -> list[str]:
    """Return the faults that ended jobs, each once, as their two lines, from the logs in and below a folder.

    Args:
        folder: of logs that `job` (`assertkd.runtime.job`) writes.
        since: seconds of the epoch; logs that were last written before are passed over.
    """
    faults: dict[str, None] = {}
    for path in sorted(folder.rglob("*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        records = list(RECORD.finditer(text))
        if not records or records[-1]["level"] != "ERROR":
            continue
        message = text[records[-1].end() :].strip()
        if message.startswith(PROGRAM_FAULT):
            message = f"{message.splitlines()[-1]}\nThis is a fault of the program: {path} has the whole of it."
        faults[message] = None
    return list(faults)


class PrintableFormatter(logging.Formatter):
    """Formats log records without what a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        return printable(super().format(record))


class LogFile(logging.FileHandler):
    """A log file. On a full disk lines are lost, and nothing else: the fault that follows is said by what works there.

    Args:
        path: the file.
        append: whether what it has stays.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        super().__init__(path, mode="a" if append else "w", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Pass over a line that could not be written."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            super().close()


@contextmanager
def attached(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    """Attach a handler to `logger` while the block runs, then close it; what it writes is printable."""
    handler.setFormatter(PrintableFormatter(LOG_FORMAT))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def hide_progress_bars() -> None:
    """Switch off transformers' progress bars, which fill a log with carriage returns."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
