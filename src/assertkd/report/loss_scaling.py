"""Which component of a loss moves the student, from a finished training's gradient norms, and what would balance them.

A component's contribution to a step is its weight times its scale times its gradient's norm at the student's logits.
"""

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assertkd.errors import UserError
from assertkd.files import read_json, write_json, written_whole

DOMINATES = 0.7
"""A component with a larger mean share of the gradient drowns the others."""
VANISHES = 0.01
"""A component with a smaller mean share hardly trains anything."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ComponentScale:
    """One component over a training.

    Attributes:
        shares: its share of the summed contributions at every logged step, in [0, 1].
        weight: its mean weight.
        scale: its scale (beta for `semantic`, else 1).
        norm: mean norm of its gradient, without weight and scale.
    """

    shares: NDArray[np.float64]
    weight: float
    scale: float
    norm: float

    @property
    def share(self) -> float:
        """Mean share over training."""
        return float(self.shares.mean())


@dataclass(frozen=True, slots=True)
class Scaling:
    """All components of a training over its logged steps."""

    steps: NDArray[np.int64]
    components: dict[str, ComponentScale]

    def warnings(self) -> list[str]:
        """Return a sentence for every component that dominates or vanishes."""
        found = []
        for name, component in self.components.items():
            if component.share > DOMINATES:
                found.append(f"{name} dominates: {component.share:.1%} of the gradient (more than {DOMINATES:.0%})")
            elif component.share < VANISHES:
                found.append(f"{name} vanishes: {component.share:.2%} of the gradient (less than {VANISHES:.0%})")
        return found

    def balanced_weights(self) -> dict[str, float]:
        """Return weights, of sum 1, with which all components would contribute alike on average.

        A component that never had a gradient is left out.
        """
        inverse = {name: 1 / (c.scale * c.norm) for name, c in self.components.items() if c.norm > 0}
        total = sum(inverse.values())
        return {name: value / total for name, value in inverse.items()}

    def balanced_beta(self) -> float | None:
        """Return the `semantic.scale` with which `semantic` would contribute as much as the others do on average.

        None where the loss has no semantic component, no other one, or no gradient of it.
        """
        semantic = self.components.get("semantic")
        others = [c.weight * c.scale * c.norm for name, c in self.components.items() if name != "semantic"]
        if semantic is None or not others or not semantic.norm * semantic.weight:
            return None
        return float(np.mean(others) / (semantic.weight * semantic.norm))


def analyse_scaling(folder: Path) -> Scaling:
    """Return what the logs of a finished training say about its components.

    Args:
        folder: a student's folder, with `step_metrics.csv` and `training_report.json`.

    Raises:
        UserError: a file is missing, or no gradient norm was logged.
    """
    path = folder / "step_metrics.csv"
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Name the folder of a finished student.")
    scales = {c["name"]: float(c["scale"]) for c in read_json(folder / "training_report.json")["loss"]["components"]}
    with path.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if all(row.get(f"{name}_grad_norm") for name in scales)]
    if not rows:
        raise UserError(f"{path}: holds no gradient norms", "Train the student again with this version.")
    norms = {name: _column(rows, f"{name}_grad_norm") for name in scales}
    weights = {name: _column(rows, f"{name}_weight") for name in scales}
    contributions = {name: weights[name] * scales[name] * norms[name] for name in scales}
    total = np.sum(list(contributions.values()), axis=0)
    total = np.where(total > 0, total, 1.0)
    return Scaling(
        np.array([int(row["step"]) for row in rows]),
        {
            name: ComponentScale(
                contributions[name] / total, float(weights[name].mean()), scales[name], float(norms[name].mean())
            )
            for name in scales
        },
    )


def write_scaling(scaling: Scaling, folder: Path) -> Path:
    """Write `loss_scaling.json` and `loss_scaling.svg` to `folder`; return the picture's path."""
    write_json(folder / "loss_scaling.json", as_dict(scaling))
    picture = folder / "loss_scaling.svg"
    _draw(scaling, picture)
    return picture


def as_dict(scaling: Scaling) -> dict[str, Any]:
    """Return shares, warnings and recommendations as JSON values."""
    return {
        "components": {
            name: {
                "share": {"mean": c.share, "first": float(c.shares[0]), "last": float(c.shares[-1])},
                "weight": c.weight,
                "scale": c.scale,
                "gradient_norm": c.norm,
            }
            for name, c in scaling.components.items()
        },
        "warnings": scaling.warnings(),
        "balanced_weights": scaling.balanced_weights(),
        "balanced_beta": scaling.balanced_beta(),
    }


def described(scaling: Scaling) -> str:
    """Return the analysis as text for a terminal."""
    lines = [f"{'component':<24}{'share':>8}{'first':>8}{'last':>8}{'weight':>9}{'scale':>7}{'norm':>12}"]
    lines += [
        f"{name:<24}{c.share:>8.1%}{c.shares[0]:>8.1%}{c.shares[-1]:>8.1%}{c.weight:>9.3f}{c.scale:>7.3g}{c.norm:>12.3g}"
        for name, c in scaling.components.items()
    ]
    lines += [f"Warning: {warning}" for warning in scaling.warnings()]
    if len(scaling.components) > 1:
        weights = json.dumps({name: round(weight, 4) for name, weight in scaling.balanced_weights().items()})
        lines.append(f"Weights that would balance the gradients: {weights}")
    beta = scaling.balanced_beta()
    if beta is not None:
        lines.append(f"loss.semantic.scale (beta) that would balance semantic at its weight: {beta:.3g}")
    return "\n".join(lines)


def _column(rows: Sequence[Mapping[str, str]], name: str) -> NDArray[np.float64]:
    return np.array([float(row[name]) for row in rows])


def _draw(scaling: Scaling, path: Path) -> None:
    import altair as alt
    import pandas as pd

    rows = [
        {"step": int(step), "share": float(share), "component": name}
        for name, component in scaling.components.items()
        for step, share in zip(scaling.steps, component.shares, strict=True)
    ]
    # Single steps are noisy; the mean over a window of steps is what can be read.
    window = max(1, len(scaling.steps) // 40)
    base = alt.Chart(pd.DataFrame(rows), width=600, height=260, title="Share of the gradient at the student's logits")
    lines = (
        base.transform_window(
            smooth="mean(share)", frame=[-window, window], groupby=["component"], sort=[{"field": "step"}]
        )
        .mark_line()
        .encode(
            x=alt.X("step:Q", title="optimizer step"),
            y=alt.Y("smooth:Q", title="share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color("component:N", title=None, sort=list(scaling.components)),
        )
    )
    levels = alt.Chart(pd.DataFrame({"share": [DOMINATES, VANISHES]}))
    rules = levels.mark_rule(strokeDash=[2, 3], color="grey").encode(y="share:Q")
    with written_whole(path) as handle:
        (lines + rules).save(handle, format="svg")
