"""From executed assertions to the metrics `compiles`, `passes`, `kills` and `gold_kills`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.errors import UserError
from assertkd.evaluation.execution.predicted import PredictedRun
from assertkd.evaluation.significance import bootstrap_intervals

OF_EVERY_RUN = ("compiles", "passes")
OF_MUTANTS = ("kills", "gold_kills")

EXECUTION_METRICS = (*OF_EVERY_RUN, *OF_MUTANTS)
"""Names of the metrics, each in [0, 1]."""


def read_runs(path: Path) -> list[PredictedRun]:
    """Return what `execute` wrote; nothing where nothing could be executed.

    Raises:
        UserError: the file is missing or broken.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `execute` first.")
    runs = []
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                runs.append(PredictedRun(**json.loads(line)))
            except (ValueError, TypeError) as fault:
                raise UserError(
                    f"{path}:{number}: no assertion's execution ({fault!r})", "Delete the file and rerun `execute`."
                ) from None
    return runs


def execution_metrics(run: PredictedRun) -> dict[str, float]:
    """Return an example's metrics; the two on mutants are absent where no mutant counts.

    `compiles` and `passes` are 0 or 1, `kills` the share of mutants that the prediction kills, `gold_kills` the share
    that the gold assertion kills.
    """
    values = {name: float(getattr(run, name)) for name in OF_EVERY_RUN}
    if run.mutants:
        values |= {"kills": run.killed / run.mutants, "gold_kills": run.gold_killed / run.mutants}
    return values


def summarise_runs(runs: list[PredictedRun], resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return per metric {mean, low, high, n}: n is the number of examples that have it. Nothing without runs.

    Args:
        runs: the executed assertions.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
    """
    rows = [execution_metrics(run) for run in runs]
    summary: dict[str, dict[str, Any]] = {}
    for names in (OF_EVERY_RUN, OF_MUTANTS):
        values = [[row[name] for name in names] for row in rows if names[0] in row]
        if values:
            intervals = bootstrap_intervals(np.array(values), resamples, seed)
            summary |= {
                name: interval.as_dict() | {"n": len(values)} for name, interval in zip(names, intervals, strict=True)
            }
    return summary
