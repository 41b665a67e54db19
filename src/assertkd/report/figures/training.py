"""Figures of the trainings: losses, weights, shares of the gradient, and curves on validation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from assertkd.report.figures.figure import DATA, LEGEND, PALETTE, Figure, colours
from assertkd.report.loss_scaling import gradient_shares, limited, of_components, scales_of
from assertkd.report.results import Model

COLUMNS = 3
"""Panels side by side where there is room."""

POINTS = 50
"""Most points of a curve: each is the mean over a stretch of optimizer steps, since single steps are noisy."""

EPOCH_FIGURES = {"validation_loss": "validation loss", "validation_token_accuracy": "validation token accuracy"}
"""Columns of `training_metrics.csv` that are alike for every loss, and what the figure calls them."""

Rows = Sequence[Mapping[str, Any]]


def component_curves(models: Sequence[Model], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return loss, weight and share of the gradient of every component of every student over its optimizer steps.

    Returns:
        Rows of `model`, `component`, `step` (the last of its stretch), `loss` (raw: before weight and scale, of steps
        with a weight), `weight`, and `share` (see `gradient_shares`; None where norms were not logged).
    """
    rows = []
    for model in models:
        steps = pd.DataFrame() if model.is_teacher or not model.is_trained else model.steps()
        if steps.empty:
            continue
        logged = (column.removesuffix("_loss_raw") for column in map(str, steps) if column.endswith("_loss_raw"))
        names = [name for name in logged if name != "total"]
        losses, weights, norms = (of_components(steps, names, kind) for kind in ("loss_raw", "weight", "grad_norm"))
        scales = scales_of(model.training_report()) if model.is_done else {}
        shares = gradient_shares(weights, scales, limited(norms, steps))
        stretches = np.array_split(np.arange(len(steps)), min(POINTS, len(steps)))
        rows += [
            {
                "model": labels[model.name],
                "component": name,
                "step": int(steps["step"].iloc[stretch[-1]]) + 1,
                "loss": _mean(losses[name].mask(weights[name] == 0).iloc[stretch]),
                "weight": _mean(weights[name].iloc[stretch]),
                "share": _mean(shares[name].iloc[stretch]),
            }
            for name in names
            for stretch in stretches
        ]
    return rows


def _mean(values: "pd.Series[float]") -> float | None:
    """Return the mean of the finite values, to six digits; None where there are none."""
    finite = values[np.isfinite(values)]
    return float(f"{finite.mean():.6g}") if len(finite) else None


def component_figures(models: Sequence[Model], labels: Mapping[str, str]) -> list[Figure]:
    """Return losses, weights and gradient shares over training, a panel a student; none without logs."""
    rows = component_curves(models, labels)
    if not rows:
        return []
    # A single component needs no weights.
    components = Counter(model for model, _ in {(row["model"], row["component"]) for row in rows})
    several = [row for row in rows if components[row["model"]] > 1]
    figures = [
        Figure(
            "losses",
            "Loss components",
            "Each component before its weight and scale, on a logarithmic axis; means over stretches of steps, without "
            "those in which its weight or its value is 0.",
            _panels(
                rows, "loss", alt.Y("loss:Q", title="loss", scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=4))
            ),
            [row for row in _of(rows, "loss") if row["loss"] > 0],
        )
    ]
    if several:
        share = alt.Y("share:Q", title="share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=4))
        weight = alt.Y("weight:Q", title="weight", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4))
        figures += [
            Figure(
                "gradient_shares",
                "Who moves the student",
                "Share of every component in the gradient at the student's logits: weight times scale times gradient "
                "norm, over their sum; of text components after the limit loss.text.max_share. A component near 0 "
                "hardly trains anything.",
                _panels(several, "share", share, stacked=True),
                _of(several, "share"),
            ),
            Figure(
                "weights",
                "Weights of the components",
                "What multiplies each component; with loss.normalise, after the division by its running mean. Compare "
                "with the shares above: a weight is not an influence.",
                _panels(several, "weight", weight),
                _of(several, "weight"),
            ),
        ]
    return [figure for figure in figures if figure.rows]


def learning_figure(models: Sequence[Model], labels: Mapping[str, str], order: Sequence[str]) -> Figure | None:
    """Return loss and token accuracy on validation over the optimizer steps, a panel each; None without logs.

    Args:
        models: of the run.
        labels: each model's name to its label.
        order: variants in the order of the legend.
    """
    rows = [
        {
            "model": labels[model.name],
            "variant": model.variant,
            "epoch": int(row["epoch"]),
            "step": int(row["step"]),
            "figure": figure,
            "value": float(row[key]),
        }
        for model in models
        if model.is_trained
        for row in model.epochs().to_dict("records")
        for key, figure in EPOCH_FIGURES.items()
        if pd.notna(row.get(key))
    ]
    if not rows:
        return None
    chosen = alt.selection_point(name="chosen", fields=["variant"], bind="legend")

    def panel(title: str) -> alt.Chart:
        chart: alt.Chart = (
            alt.Chart(DATA, width=330, height=220)
            .transform_filter(alt.FieldEqualPredicate(field="figure", equal=title))
            .mark_line(point=alt.OverlayMarkDef(size=36, opacity=1), strokeWidth=1.6)
            .encode(
                x=alt.X(
                    "step:Q",
                    title="optimizer steps",
                    axis=alt.Axis(tickMinStep=1, format="d"),
                    scale=alt.Scale(nice=False, padding=8),
                ),
                y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
                color=alt.Color("variant:N", scale=colours(order), legend=LEGEND),
                detail="model:N",
                opacity=alt.condition(chosen, alt.value(1), alt.value(0.12)),
                tooltip=["model:N", "epoch:Q", "step:Q", alt.Tooltip("value:Q", format=".4~g", title=title)],
            )
        )
        return chart

    shown = [title for title in EPOCH_FIGURES.values() if any(row["figure"] == title for row in rows)]
    # The first panel holds the choice, the others follow it.
    panels = [panel(title) for title in shown]
    panels[0] = panels[0].add_params(chosen)
    return Figure(
        "learning_curves",
        "Learning curves",
        "Cross-entropy and token accuracy of the gold assertions on validation, which no training has seen; alike for "
        "every loss. Click a name to see its curve alone.",
        alt.concat(*panels, columns=2).resolve_scale(color="shared"),
        rows,
    )


def _of(rows: Rows, figure: str) -> Rows:
    """Return model, component, step and one figure, where it was logged."""
    keys = ("model", "component", "step", figure)
    return [{key: row[key] for key in keys} for row in rows if row[figure] is not None]


def _panels(rows: Rows, figure: str, y: alt.Y, *, stacked: bool = False) -> alt.FacetChart:
    components = list(dict.fromkeys(row["component"] for row in rows))
    base = alt.Chart(DATA, width=250, height=120).encode(
        x=alt.X("step:Q", title="optimizer step", axis=alt.Axis(tickCount=4), scale=alt.Scale(nice=False)),
        y=y,
        color=alt.Color(
            "component:N",
            scale=alt.Scale(domain=components, range=[PALETTE[i % len(PALETTE)] for i in range(len(components))]),
            legend=LEGEND,
        ),
        tooltip=["model:N", "component:N", "step:Q", alt.Tooltip(f"{figure}:Q", format=".3~g")],
    )
    marked = base.mark_area(opacity=0.85, line=False) if stacked else base.mark_line(strokeWidth=1.6)
    models = list(dict.fromkeys(row["model"] for row in rows))
    header = alt.Header(title=None, labelFontWeight="bold", labelLimit=240)
    facet = alt.Facet("model:N", title=None, sort=models, header=header)
    panels: alt.FacetChart = marked.facet(facet=facet, columns=COLUMNS)
    return panels
