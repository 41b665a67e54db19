"""From executed assertions to the metrics `compiles`, `passes`, `kills` and `gold_kills`."""

from pathlib import Path
from typing import Any

import numpy as np

from assertkd.evaluation.execution.predicted import PredictedExecution
from assertkd.evaluation.significance import bootstrap_intervals
from assertkd.jsonl import read_lines

OF_EVERY_EXECUTION = ("compiles", "passes")
OF_MUTANTS = ("kills", "gold_kills")
"""Names of the metrics, each in [0, 1]: those of every execution, and those of executions with mutants."""


def read_executions(path: Path) -> list[PredictedExecution]:
    """Return what `execute` wrote; nothing where nothing could be executed.

    Raises:
        UserError: the file is missing or broken.
    """
    return list(
        read_lines(path, lambda line: PredictedExecution(**line), what="an assertion's execution", rule="execute")
    )


def execution_metrics(execution: PredictedExecution) -> dict[str, float]:
    """Return an example's metrics; the two on mutants are absent where no mutant counts.

    `compiles` and `passes` are 0 or 1, `kills` the share of mutants that the prediction kills, `gold_kills` the share
    that the gold assertion kills.
    """
    values = {name: float(getattr(execution, name)) for name in OF_EVERY_EXECUTION}
    if execution.mutants:
        values |= {
            "kills": execution.killed / execution.mutants,
            "gold_kills": execution.gold_killed / execution.mutants,
        }
    return values


def summarise_executions(executions: list[PredictedExecution], resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return per metric {mean, low, high, n}: n is the number of examples that have it. Empty without executions.

    Args:
        executions: of a model's assertions.
        resamples: bootstrap resamples.
        seed: of the bootstrap.
    """
    rows = [execution_metrics(execution) for execution in executions]
    summary: dict[str, dict[str, Any]] = {}
    for names in (OF_EVERY_EXECUTION, OF_MUTANTS):
        values = [[row[name] for name in names] for row in rows if names[0] in row]
        if values:
            intervals = bootstrap_intervals(np.array(values), resamples, seed)
            summary |= {
                name: interval.as_dict() | {"n": len(values)} for name, interval in zip(names, intervals, strict=True)
            }
    return summary
