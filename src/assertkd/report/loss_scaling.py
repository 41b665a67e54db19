"""Each loss component's share of the gradient in a finished training, and the weights that would balance them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from assertkd.errors import UserError
from assertkd.files import read_json, write_json, written_whole
from assertkd.layout import TrainingLayout
from assertkd.losses.registry import COMPONENTS, PREFIX, TextComponent
from assertkd.report.results import read_log

DOMINATES = 0.7
"""A component with a larger mean share of the gradient drowns the others."""
VANISHES = 0.01
"""A component with a smaller mean share hardly trains anything."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """All components of a training over its logged steps.

    Attributes:
        shares: of every component (column) in the summed contributions at every step (row), in [0, 1].
        components: one a row, over the steps in which its weight is above 0. `share`, `first`, `last`: its share, the
            mean, and at the outermost two; `weight`, mean; `scale`: the factor before its weight, 1 for a component
            without one; `norm`: mean norm of its gradient, without weight, scale and `loss.text.max_share`.
    """

    shares: pd.DataFrame
    components: pd.DataFrame

    def warnings(self) -> list[str]:
        """Return a sentence for every component that dominates or vanishes; none where there is one component."""
        found: list[str] = []
        if len(self.components) == 1:
            return found
        for name, share in self.components["share"].items():
            if share > DOMINATES:
                found.append(f"{name} dominates: {share:.1%} of the gradient (more than {DOMINATES:.0%})")
            elif share < VANISHES:
                found.append(f"{name} vanishes: {share:.2%} of the gradient (less than {VANISHES:.0%})")
        return found

    def balanced_weights(self) -> dict[str, float]:
        """Return weights, of sum 1, with which all components would contribute alike on average.

        That is before `loss.text.max_share`. A component that never had a gradient is left out.
        """
        gradients = self.components["scale"] * self.components["norm"]
        inverse = 1 / gradients[gradients > 0]
        return {str(name): value for name, value in (inverse / inverse.sum()).items()}

    def balanced_scales(self) -> dict[str, float]:
        """Return, per component with a scale of its own, the scale with which it would contribute as the others do.

        On average over the steps, before `loss.text.max_share`. A component is left out where it is alone, or never had
        a weight or a gradient.
        """
        unscaled = self.components["weight"] * self.components["norm"]
        sizes = self.components["weight"] * self.components["scale"] * self.components["norm"]
        return {
            name: float(sizes.drop(name).mean() / unscaled[name])
            for name in self.components.index
            if getattr(COMPONENTS.get(name), "scale", None) is not None and len(sizes) > 1 and unscaled[name]
        }


def analyse_scaling(folder: Path) -> Scaling:
    """Return what the logs of a finished training say about its components.

    Args:
        folder: a student's folder, with `step_metrics.csv` and `training_report.json`.

    Raises:
        UserError: a file is missing, or no gradient norm was logged.
    """
    files = TrainingLayout(folder)
    if not files.steps.is_file():
        raise UserError(f"{files.steps}: no such file", "Name a finished student's folder, or that of a run.")
    scales = scales_of(read_json(files.report))
    steps = read_log(files.steps)
    steps = steps[of_components(steps, list(scales), "grad_norm").notna().all(axis=1)]
    if steps.empty:
        raise UserError(f"{files.steps}: holds no gradient norms", "Train the student again with this version.")
    weights, norms = (of_components(steps, list(scales), figure) for figure in ("weight", "grad_norm"))
    # Where no component has a gradient, each has a share of 0.
    shares = gradient_shares(weights, scales, limited(norms, steps)).fillna(0.0)
    # Text components wait for `loss.text.start`; until then they have neither weight nor norm.
    active = shares.where(weights > 0)
    components = {
        "share": active.mean(),
        "first": active.bfill().iloc[0],
        "last": active.ffill().iloc[-1],
        "weight": weights.where(weights > 0).mean(),
        "scale": pd.Series(scales),
        "norm": norms.where(weights > 0).mean(),
    }
    return Scaling(shares.set_index(steps["step"]), pd.DataFrame(components).fillna(0.0))


def scales_of(training_report: Mapping[str, Any]) -> dict[str, float]:
    """Return the scale of every loss component of a training."""
    return {component["name"]: float(component["scale"]) for component in training_report["loss"]["components"]}


def of_components(steps: pd.DataFrame, components: Sequence[str], figure: str) -> pd.DataFrame:
    """Return the columns `{component}_{figure}` of a log, one a component; NaN where a cell or column is missing."""
    return steps.reindex(columns=[f"{name}_{figure}" for name in components]).set_axis(list(components), axis=1)


def limited(norms: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Return gradient norms, one column a component, those of text components after `loss.text.max_share`.

    Args:
        norms: as logged, before that limit.
        steps: the log, whose column `text_limit` has the limit's factor; 1 where a cell or the column is missing.
    """
    factor = steps.reindex(columns=["text_limit"])["text_limit"].fillna(1.0)
    names = map(str, norms)
    text = [name for name in names if name.startswith(PREFIX) or isinstance(COMPONENTS.get(name), TextComponent)]
    return norms.assign(**{name: norms[name] * factor for name in text})


def gradient_shares(weights: pd.DataFrame, scales: Mapping[str, float], norms: pd.DataFrame) -> pd.DataFrame:
    """Return each component's share of the summed contributions at every step, in [0, 1]; NaN where the sum is 0.

    A contribution is weight times scale times gradient norm at the student's logits. A weight, scale or norm that is
    missing makes all shares of its step NaN. All tables have the shape (steps, components).
    """
    contributions = weights * pd.Series(scales, weights.columns, dtype=float) * norms
    total = contributions.sum(axis=1, skipna=False)
    return contributions.div(total.where(total > 0), axis=0)


def write_scaling(scaling: Scaling, folder: Path) -> Path:
    """Write `loss_scaling.json` and `loss_scaling.svg` to `folder`; return the picture's path."""
    files = TrainingLayout(folder)
    components = {
        name: {
            "share": {"mean": one["share"], "first": one["first"], "last": one["last"]},
            "weight": one["weight"],
            "scale": one["scale"],
            "gradient_norm": one["norm"],
        }
        for name, one in scaling.components.to_dict("index").items()
    }
    analysis = {
        "components": components,
        "warnings": scaling.warnings(),
        "balanced_weights": scaling.balanced_weights(),
        # One component has a scale.
        "balanced_beta": next(iter(scaling.balanced_scales().values()), None),
    }
    write_json(files.loss_scaling, analysis)
    _draw(scaling, files.loss_scaling_picture)
    return files.loss_scaling_picture


def format_scaling(scaling: Scaling) -> str:
    """Return the analysis as text for a terminal."""
    formats = {"share": "8.1%", "first": "8.1%", "last": "8.1%", "weight": "9.3f", "scale": "7.3g", "norm": "12.3g"}
    lines = [f"{'component':<24}{'share':>8}{'first':>8}{'last':>8}{'weight':>9}{'scale':>7}{'norm':>12}"]
    lines += [
        f"{name:<24}" + "".join(f"{one[figure]:>{form}}" for figure, form in formats.items())
        for name, one in scaling.components.iterrows()
    ]
    lines += [f"Warning: {warning}" for warning in scaling.warnings()]
    if len(scaling.components) > 1:
        weights = json.dumps({name: round(weight, 4) for name, weight in scaling.balanced_weights().items()})
        lines.append(f"Weights that would balance the gradients, before loss.text.max_share: {weights}")
    lines += [
        f"loss.{name}.scale (beta) that would balance {name} at its weight: {scale:.3g}"
        for name, scale in scaling.balanced_scales().items()
    ]
    return "\n".join(lines)


def format_students(folders: Sequence[Path]) -> str:
    """Return a line for each student: its folder, the mean share of each component, and the warnings.

    Raises:
        UserError: as `analyse_scaling` does.
    """
    lines = []
    for folder in folders:
        scaling = analyse_scaling(folder)
        shares = ", ".join(f"{name} {share:.1%}" for name, share in scaling.components["share"].items())
        lines += [f"{folder}: {shares}", *(f"    Warning: {warning}" for warning in scaling.warnings())]
    return "\n".join(lines)


def _draw(scaling: Scaling, path: Path) -> None:
    rows = scaling.shares.reset_index().melt("step", var_name="component", value_name="share")
    # Single steps are noisy; the mean over a window of steps is what can be read.
    window = max(1, len(scaling.shares) // 40)
    base = alt.Chart(rows, width=600, height=260, title="Share of the gradient at the student's logits")
    lines = (
        base.transform_window(
            smooth="mean(share)", frame=[-window, window], groupby=["component"], sort=[{"field": "step"}]
        )
        .mark_line()
        .encode(
            x=alt.X("step:Q", title="optimizer step"),
            y=alt.Y("smooth:Q", title="share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color("component:N", title=None, sort=list(scaling.components.index)),
        )
    )
    levels = alt.Chart(pd.DataFrame({"share": [DOMINATES, VANISHES]}))
    rules = levels.mark_rule(strokeDash=[2, 3], color="grey").encode(y="share:Q")
    with written_whole(path) as handle:
        (lines + rules).save(handle, format="svg")
