"""Quality, cost and retention: figures with one mark a model."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from assertkd.evaluation.comparison import Comparison, Difference
from assertkd.layout import TEACHER
from assertkd.report.columns import COST_COLUMNS, TEACHER_COLUMNS, column_of
from assertkd.report.figures.figure import DATA, LEGEND, Figure, colours
from assertkd.report.leaderboard import MAIN, Row

COST_AXES = (("model_memory_mb", "peak_memory_mb", "disk_bytes"), ("latency_ms", "parameters"))
"""Costs that quality is drawn against, a panel each: the first of them that was measured of two models or more."""

ROOM_LEFT, ROOM_ABOVE = 0.45, 0.1
"""For names left of the cheapest and above the best model, as shares of the distance between the outermost models."""

VERDICTS = {
    "significant": ("#3f83c8", "circle"),
    "could be chance": ("#8d96a3", "diamond"),
    "unequal budgets": ("#8d96a3", "cross"),
    "not tested": ("#8d96a3", "square"),
}
"""What was found of a difference, and the colour and shape of its mark."""


def differences(comparison: Comparison | None) -> Figure | None:
    """Return every model's exact match minus the baseline's, with intervals; None where nothing was compared."""
    if comparison is None or comparison.baseline is None:
        return None
    models = {
        **({TEACHER: comparison.teacher} if comparison.teacher else {}),
        **comparison.variants,
        **comparison.external,
    }
    rows = [
        {
            "model": name,
            "difference": 100 * difference.mean,
            "low": 100 * difference.low,
            "high": 100 * difference.high,
            "p_holm": difference.p_holm,
            "verdict": _verdict(difference),
        }
        for name, figures in models.items()
        if (difference := figures[MAIN].difference) is not None
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: -float(str(row["difference"])))
    verdicts = [name for name in VERDICTS if any(row["verdict"] == name for row in rows)]
    colours_of, shapes = zip(*(VERDICTS[name] for name in verdicts), strict=True)
    base = alt.Chart(DATA, height=alt.Step(26)).encode(
        y=alt.Y("model:N", title=None, sort=[str(row["model"]) for row in rows], axis=alt.Axis(labelLimit=220)),
        color=alt.Color("verdict:N", scale=alt.Scale(domain=verdicts, range=list(colours_of)), legend=LEGEND),
        tooltip=[
            "model:N",
            "verdict:N",
            alt.Tooltip("difference:Q", format="+.1f"),
            alt.Tooltip("low:Q", format="+.1f"),
            alt.Tooltip("high:Q", format="+.1f"),
            alt.Tooltip("p_holm:Q", format=".3g", title="p (Holm)"),
        ],
    )
    zero = alt.Chart(DATA).mark_rule(strokeDash=[3, 3], color="#8d96a3").encode(x=alt.datum(0))
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="difference, points"), x2="high:Q")
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x="difference:Q",
        shape=alt.Shape("verdict:N", scale=alt.Scale(domain=verdicts, range=list(shapes)), legend=LEGEND),
    )
    return Figure(
        "differences",
        f"Difference from {comparison.baseline}",
        f"Exact match of each model minus that of {comparison.baseline}, in percentage points, with its 95 % "
        "interval: over seeds where the difference was tested, over the same test examples where it was not.",
        alt.layer(zero, bars, dots),
        rows,
    )


def _verdict(difference: Difference) -> str:
    significant, chance, unequal, untested = VERDICTS
    if difference.unequal_steps is not None:
        return unequal
    if difference.test is None:
        return untested
    return significant if difference.significant else chance


def quality_against_cost(rows: Sequence[Row], order: Sequence[str]) -> Figure | None:
    """Return exact match against what a model costs, a panel a cost, the Pareto front drawn; None without costs.

    Args:
        rows: one a variant, and the teacher's.
        order: models in the order of the legend.
    """
    measured = [[name for name in names if sum(name in row.figures for row in rows) > 1] for names in COST_AXES]
    axes = [names[0] for names in measured if names]
    titles = [f"{COST_COLUMNS[name].heading}, {COST_COLUMNS[name].unit}" for name in axes]
    points: list[dict[str, Any]] = []
    for name, title in zip(axes, titles, strict=True):
        measured_rows = [row for row in rows if name in row.figures]
        for row in measured_rows:
            cost, quality = row.figures[name], row.figures[MAIN]
            beaten = any(
                other.figures[name] <= cost
                and other.figures[MAIN] >= quality
                and (other.figures[name], other.figures[MAIN]) != (cost, quality)
                for other in measured_rows
            )
            points.append(
                {
                    "model": row.name,
                    "cost": title,
                    "value": cost * COST_COLUMNS[name].scale,
                    "exact_match": 100 * quality,
                    "on_front": not beaten,
                }
            )
    if not points:
        return None
    lowest, highest = (choose(point["exact_match"] for point in points) for choose in (min, max))
    colour = alt.Color("model:N", scale=colours(order), legend=LEGEND)
    from_zero = lowest < 15
    top = highest + ROOM_ABOVE * (highest - (0 if from_zero else lowest))

    def panel(cost: str) -> alt.LayerChart | alt.FacetChart:
        costs = [float(point["value"]) for point in points if point["cost"] == cost]
        start = min(costs) - ROOM_LEFT * (max(costs) - min(costs))
        base = (
            alt.Chart(DATA, width=330, height=260)
            .transform_filter(alt.FieldEqualPredicate(field="cost", equal=cost))
            .encode(
                x=alt.X("value:Q", title=cost, scale=alt.Scale(domainMin=start, zero=False, nice=True, padding=14)),
                y=alt.Y(
                    "exact_match:Q",
                    title="exact match, %",
                    scale=alt.Scale(domainMax=top, zero=from_zero, nice=False, padding=10),
                ),
            )
        )
        front = base.transform_filter("datum.on_front").mark_line(
            interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.2, color="#8d96a3"
        )
        dots = base.mark_point(filled=True, size=110, opacity=1).encode(
            color=colour,
            tooltip=["model:N", alt.Tooltip("value:Q", format=",.4~g", title=cost), _percent("exact_match")],
        )
        # Above a model of the front and left of it there is no other: names stand there, at two heights in turn, since
        # neighbours on the front are often near each other.
        names = (
            base.transform_filter("datum.on_front")
            .transform_window(place="row_number()", sort=[alt.SortField("value")])
            .mark_text(align="right", dx=-8, dy=alt.expr("datum.place % 2 ? -8 : -20"), fontSize=11)
            .encode(text="model:N", color=colour)
        )
        return alt.layer(front, dots, names)

    return Figure(
        "cost",
        "Quality against cost",
        "The dashed line joins the Pareto front, with names: models that no other equals or passes in both.",
        alt.concat(*map(panel, titles), columns=2).resolve_scale(color="shared"),
        points,
    )


def retention(rows: Sequence[Row], order: Sequence[str]) -> Figure | None:
    """Return what each student keeps of its teacher, a panel a measure; None without students.

    Args:
        rows: one a variant.
        order: models in the order of the legend.
    """
    measures = [name for name, column in TEACHER_COLUMNS.items() if column.unit == "%"]
    points = [
        {
            "model": row.name,
            "measure": column_of(name).heading,
            "value": 100 * row.figures[name],
            "low": 100 * row.intervals[name][0] if name in row.intervals else None,
            "high": 100 * row.intervals[name][1] if name in row.intervals else None,
        }
        for name in measures
        for row in rows
        if row.model != TEACHER and name in row.figures
    ]
    if not points:
        return None
    best = sorted((row for row in rows if row.model != TEACHER), key=lambda row: -row.figures.get(measures[0], 0.0))
    base = alt.Chart(width=230, height=alt.Step(22)).encode(
        y=alt.Y("model:N", title=None, sort=[row.name for row in best], axis=alt.Axis(labelLimit=180)),
        color=alt.Color("model:N", scale=colours(order), legend=None),
        tooltip=["model:N", "measure:N", _percent("value"), _percent("low"), _percent("high")],
    )
    x = alt.X("value:Q", title="%", scale=alt.Scale(zero=False, nice=True, padding=8))
    layers = alt.layer(
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="%"), x2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(x=x),
        data=DATA,
    )
    shown = list(dict.fromkeys(str(point["measure"]) for point in points))
    return Figure(
        "retention",
        "What students keep of their teacher",
        "Agreement between the predictions of student and teacher on the test split, right or wrong, with 95 % "
        "intervals where they were measured.",
        layers.facet(
            facet=alt.Facet("measure:N", title=None, sort=shown, header=alt.Header(labelFontWeight="bold")),
            columns=2,
        ).resolve_scale(x="independent"),
        points,
    )


def _percent(name: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:Q", format=".1f", title=f"{name.replace('_', ' ')}, %")
