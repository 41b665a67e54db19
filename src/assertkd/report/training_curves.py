"""What moved each model while it trained, thinned so that a page can carry it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assertkd.report.results import Model

POINTS = 50
"""Most points of a curve: each is the mean over a stretch of optimizer steps, so that noise of single steps is gone."""

EPOCH_FIGURES = {"validation_loss": "validation loss", "validation_token_accuracy": "validation token accuracy"}
"""Columns of `training_metrics.csv` that are alike for every loss, and what the figure calls them."""


def component_curves(models: Sequence[Model], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return loss, weight and share of the gradient of every component of every student over its optimizer steps.

    Returns:
        Rows of `model`, `component`, `step` (the last of its stretch), `loss` (raw: before weight and scale),
        `weight`, and `share`: the component's part of the summed gradient contributions (weight times scale times
        gradient norm at the logits), in [0, 1]; None where norms were not logged.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        if model.is_teacher or not model.is_trained:
            continue
        steps = model.steps()
        names = [column.removesuffix("_loss_raw") for column in (steps[0] if steps else {}) if _is_component(column)]
        if not names:
            continue
        plan = model.training_report()["loss"]["components"] if model.is_done else []
        scales = {component["name"]: float(component["scale"]) for component in plan}
        stretches = np.array_split(np.arange(len(steps)), min(POINTS, len(steps)))
        at = _column(steps, "step")
        columns = {
            name: [_column(steps, f"{name}_{figure}") for figure in ("loss_raw", "weight", "grad_norm")]
            for name in names
        }
        contributions = {name: weight * scales.get(name, np.nan) * norm for name, (_, weight, norm) in columns.items()}
        total = np.sum(list(contributions.values()), axis=0)
        shares = {
            name: np.divide(one, total, out=np.full_like(total, np.nan), where=total > 0)
            for name, one in contributions.items()
        }
        for name, (loss, weight, _) in columns.items():
            rows += [
                {
                    "model": labels[model.name],
                    "component": name,
                    "step": int(at[stretch[-1]]) + 1,
                    "loss": _mean(loss[stretch]),
                    "weight": _mean(weight[stretch]),
                    "share": _mean(shares[name][stretch]),
                }
                for stretch in stretches
            ]
    return rows


def learning_curves(models: Sequence[Model], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return rows of `model`, `variant`, `epoch`, `figure` and `value`: what every model did on validation."""
    return [
        {
            "model": labels[model.name],
            "variant": model.variant,
            "epoch": int(row["epoch"]),
            "figure": shown,
            "value": float(row[column]),
        }
        for model in models
        if model.is_trained
        for row in model.epochs()
        for column, shown in EPOCH_FIGURES.items()
        if row.get(column)
    ]


def _is_component(column: str) -> bool:
    return column.endswith("_loss_raw") and column != "total_loss_raw"


def _column(rows: Sequence[Mapping[str, str]], name: str) -> NDArray[np.float64]:
    return np.array([float(row.get(name) or "nan") for row in rows])


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean of the known values, to six digits, or None."""
    known = values[np.isfinite(values)]
    return float(f"{known.mean():.6g}") if len(known) else None
