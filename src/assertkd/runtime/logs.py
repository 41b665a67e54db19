"""Handlers for the package's log."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logged_to_stderr() -> Iterator[None]:
    """Send the package's log, and other packages' warnings, to standard error while the block runs."""
    logging.getLogger("assertkd").setLevel(logging.INFO)
    with attached(logging.StreamHandler(sys.stderr), logging.getLogger()):
        yield


LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def attached(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    """Attach a handler to `logger` while the block runs, then close it."""
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
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
