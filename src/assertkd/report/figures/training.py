"""Figures of the trainings: losses, weights, shares of the gradient, and curves on validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from assertkd.report.figures.figure import DATA, PALETTE, Figure, colours, legend
from assertkd.report.training_curves import EPOCH_FIGURES

COLUMNS = 3
"""Panels side by side where there is room."""

Rows = Sequence[Mapping[str, Any]]


def component_figures(rows: Rows) -> list[Figure]:
    """Return losses, weights and gradient shares over training, a panel a student; none without rows.

    Args:
        rows: of `training_curves.component_curves`.
    """
    if not rows:
        return []
    several = _with_several_components(rows)
    figures = [
        Figure(
            "losses",
            "Loss components",
            "Each component before its weight and scale, on a logarithmic axis; means over stretches of steps.",
            _panels(
                rows, "loss", alt.Y("loss:Q", title="loss", scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=4))
            ),
            _of(rows, "loss"),
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
                "norm, over their sum. A component near 0 hardly trains anything.",
                _panels(several, "share", share, stacked=True),
                _of(several, "share"),
            ),
            Figure(
                "weights",
                "Weights of the components",
                "As the loss was told to weigh them. Compare with the shares above: a weight is not an influence.",
                _panels(several, "weight", weight),
                _of(several, "weight"),
            ),
        ]
    return [figure for figure in figures if figure.rows]


def learning_figure(rows: Rows, order: Sequence[str]) -> Figure | None:
    """Return loss and token accuracy on validation over the epochs, a panel each; None without rows.

    Args:
        rows: of `training_curves.learning_curves`.
        order: models in the order of the legend.
    """
    if not rows:
        return None
    chosen = alt.selection_point(name="chosen", fields=["variant"], bind="legend")

    def panel(title: str) -> alt.Chart:
        chart: alt.Chart = (
            alt.Chart(DATA, width=330, height=220)
            .transform_filter(alt.FieldEqualPredicate(field="figure", equal=title))
            .mark_line(point=alt.OverlayMarkDef(size=36, opacity=1), strokeWidth=1.6)
            .encode(
                x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False, padding=8)),
                y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
                color=alt.Color("variant:N", scale=colours(order), legend=legend()),
                detail="model:N",
                opacity=alt.condition(chosen, alt.value(1), alt.value(0.12)),
                tooltip=["model:N", "epoch:Q", alt.Tooltip("value:Q", format=".4~g", title=title)],
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


def _with_several_components(rows: Rows) -> Rows:
    """Return the rows of models whose loss has more than one component: a single one needs no weights."""
    components: dict[str, set[str]] = {}
    for row in rows:
        components.setdefault(row["model"], set()).add(row["component"])
    return [row for row in rows if len(components[row["model"]]) > 1]


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
            legend=legend(),
        ),
        tooltip=["model:N", "component:N", "step:Q", alt.Tooltip(f"{figure}:Q", format=".3~g")],
    )
    marked = base.mark_area(opacity=0.85, line=False) if stacked else base.mark_line(strokeWidth=1.6)
    models = list(dict.fromkeys(row["model"] for row in rows))
    header = alt.Header(title=None, labelFontWeight="bold", labelLimit=240)
    facet = alt.Facet("model:N", title=None, sort=models, header=header)
    panels: alt.FacetChart = marked.facet(facet=facet, columns=COLUMNS)
    return panels
