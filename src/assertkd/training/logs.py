"""The log file of a training."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assertkd.runtime.logs import attached
from assertkd.training.parallel.process_group import ProcessGroup


@contextmanager
def logged_to(path: Path, *, continued: bool = False) -> Iterator[None]:
    """Write the package's log to `path` as well while the block runs, every line flushed at once.

    Of several processes the first alone does so.

    Args:
        path: the log; its folder is made if it is missing.
        continued: whether to append to the file, or to replace it.
    """
    if not ProcessGroup().is_first:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="a" if continued else "w", encoding="utf-8")
    with attached(handler, logging.getLogger("assertkd")):
        yield
