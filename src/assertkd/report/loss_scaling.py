"""Each loss component's share of the gradient in a finished training, and the weights that would balance them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assertkd.errors import UserError
from assertkd.files import read_json, write_json, written_whole
from assertkd.layout import TrainingLayout
from assertkd.losses.registry import COMPONENTS
from assertkd.report.training_logs import Floats, column, gradient_shares, read_rows

DOMINATES = 0.7
"""A component with a larger mean share of the gradient drowns the others."""
VANISHES = 0.01
"""A component with a smaller mean share hardly trains anything."""


@dataclass(frozen=True, slots=True)
class ComponentScale:
    """One component over a training.

    Attributes:
        shares: its share of the summed contributions at every logged step, in [0, 1].
        weight: its mean weight.
        scale: the factor before its weight; 1 for a component without one.
        norm: mean norm of its gradient, without weight and scale.
    """

    shares: Floats
    weight: float
    scale: float
    norm: float

    @property
    def share(self) -> float:
        """Its mean share over training."""
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

    def balanced_scales(self) -> dict[str, float]:
        """Return, per component with a scale of its own, the scale with which it would contribute as the others do.

        On average over the steps. A component is left out where it is alone, or never had a weight or a gradient.
        """
        sizes = {name: c.weight * c.scale * c.norm for name, c in self.components.items()}
        return {
            name: float(np.mean([size for other, size in sizes.items() if other != name]) / (c.weight * c.norm))
            for name, c in self.components.items()
            if _has_scale(name) and len(sizes) > 1 and c.weight * c.norm
        }


def _has_scale(component: str) -> bool:
    """Return whether a component's settings have a scale."""
    return getattr(COMPONENTS.get(component), "scale", None) is not None


def analyse_scaling(folder: Path) -> Scaling:
    """Return what the logs of a finished training say about its components.

    Args:
        folder: a student's folder, with `step_metrics.csv` and `training_report.json`.

    Raises:
        UserError: a file is missing, or no gradient norm was logged.
    """
    files = TrainingLayout(folder)
    if not files.steps.is_file():
        raise UserError(f"{files.steps}: no such file", "Name the folder of a finished student.")
    scales = {c["name"]: float(c["scale"]) for c in read_json(files.report)["loss"]["components"]}
    rows = [row for row in read_rows(files.steps) if all(row.get(f"{name}_grad_norm") for name in scales)]
    if not rows:
        raise UserError(f"{files.steps}: holds no gradient norms", "Train the student again with this version.")
    norms = {name: column(rows, f"{name}_grad_norm") for name in scales}
    weights = {name: column(rows, f"{name}_weight") for name in scales}
    # Where no component has a gradient, each has a share of 0.
    shares = {name: np.nan_to_num(share) for name, share in gradient_shares(weights, scales, norms).items()}
    return Scaling(
        np.array([int(row["step"]) for row in rows]),
        {
            name: ComponentScale(shares[name], float(weights[name].mean()), scale, float(norms[name].mean()))
            for name, scale in scales.items()
        },
    )


def write_scaling(scaling: Scaling, folder: Path) -> Path:
    """Write `loss_scaling.json` and `loss_scaling.svg` to `folder`; return the picture's path."""
    files = TrainingLayout(folder)
    write_json(files.loss_scaling, as_dict(scaling))
    _draw(scaling, files.loss_scaling_picture)
    return files.loss_scaling_picture


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
        # One component has a scale.
        "balanced_beta": next(iter(scaling.balanced_scales().values()), None),
    }


def format_scaling(scaling: Scaling) -> str:
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
    lines += [
        f"loss.{name}.scale (beta) that would balance {name} at its weight: {scale:.3g}"
        for name, scale in scaling.balanced_scales().items()
    ]
    return "\n".join(lines)


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
