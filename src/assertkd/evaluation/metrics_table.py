"""Reads a model's table of metrics (`metrics_final.csv`), a line for each test example."""

import csv
from pathlib import Path

import numpy as np

from assertkd.errors import UserError
from assertkd.evaluation.significance import Floats
from assertkd.files import text_of_cell


def read_metrics(path: Path) -> tuple[list[str], list[str], Floats]:
    """Return a table's metric names, example ids, and values (n, m).

    Raises:
        UserError: the file is missing, empty or broken.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `score` first.")
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))
    try:
        (_, *names), *lines = rows
        values = np.array([[float(value) for value in line[1:]] for line in lines], dtype=np.float64)
        if values.shape != (len(lines), len(names)) or not lines:
            raise ValueError(f"{values.shape} values under {len(names)} headings")
    except ValueError as fault:
        raise UserError(f"{path}: not a table of metrics ({fault})", "Move it away and rerun `score`.") from None
    return names, [text_of_cell(line[0]) for line in lines], values
