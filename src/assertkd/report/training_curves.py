"""Curves of each training, thinned so that they fit on a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assertkd.report.results import Model
from assertkd.report.training_logs import Floats, column, gradient_shares

POINTS = 50
"""Most points of a curve: each is the mean over a stretch of optimizer steps, since single steps are noisy."""

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
        names = [key.removesuffix("_loss_raw") for key in (steps[0] if steps else {}) if _is_component(key)]
        if not names:
            continue
        components = model.training_report()["loss"]["components"] if model.is_done else []
        scales = {component["name"]: float(component["scale"]) for component in components}
        stretches = np.array_split(np.arange(len(steps)), min(POINTS, len(steps)))
        at = column(steps, "step")
        losses, weights, norms = (
            {name: column(steps, f"{name}_{figure}") for name in names}
            for figure in ("loss_raw", "weight", "grad_norm")
        )
        shares = gradient_shares(weights, scales, norms)
        rows += [
            {
                "model": labels[model.name],
                "component": name,
                "step": int(at[stretch[-1]]) + 1,
                "loss": _mean(losses[name][stretch]),
                "weight": _mean(weights[name][stretch]),
                "share": _mean(shares[name][stretch]),
            }
            for name in names
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
            "figure": figure,
            "value": float(row[key]),
        }
        for model in models
        if model.is_trained
        for row in model.epochs()
        for key, figure in EPOCH_FIGURES.items()
        if row.get(key)
    ]


def _is_component(key: str) -> bool:
    return key.endswith("_loss_raw") and key != "total_loss_raw"


def _mean(values: Floats) -> float | None:
    """Return the mean of the finite values, to six digits; None where there are none."""
    finite = values[np.isfinite(values)]
    return float(f"{finite.mean():.6g}") if len(finite) else None
