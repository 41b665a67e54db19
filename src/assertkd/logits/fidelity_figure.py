"""The picture of a fidelity report: what each codec takes against what it loses, a panel a temperature."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assertkd.files import written_whole

SMALLEST = 1e-12
"""Divergences below this, zero among them, are drawn here: a logarithmic axis has no zero."""

FAMILIES = {
    "original": ("original (float16, LZ4, base64)", "#8c8c8c"),
    "dense": ("dense", "#1b1b1b"),
    "hidden": ("hidden", "#2f6fb3"),
    "topk": ("topk", "#c0562f"),
    "renormalised top-k": ("top k, renormalised", "#a68a00"),
}
"""Codec to its name in the legend and its colour."""

IN_USE, OTHER, INFINITE = "this run's cache", "other settings", "infinite divergence"


def draw_fidelity(report: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a fidelity report (`fidelity.measure`) as SVG.

    Codecs that refused the teacher, and temperatures that a codec does not store, are left out. A codec whose
    divergence is infinite stands as a triangle on the upper edge.
    """
    import altair as alt
    import pandas as pd

    points = pd.DataFrame(_points(report))
    finite = points["kl"].astype(float).clip(lower=SMALLEST)
    lowest, highest = finite.min() / 3, max(1.0, finite.max()) * 4
    points["drawn"] = finite.fillna(highest)
    sizes = [points["bytes"].min() / 1.5, points["bytes"].max() * 1.5]
    shown = [name for name in FAMILIES if name in set(points["codec"])]
    base = alt.Chart(points).encode(
        x=alt.X(
            "bytes:Q",
            title="bytes per target token",
            scale=alt.Scale(type="log", domain=sizes, nice=False),
            axis=alt.Axis(values=_ticks(*sizes), format="~s", grid=False),
        ),
        y=alt.Y(
            "drawn:Q",
            title="mean KL(full || stored), nats",
            scale=alt.Scale(type="log", domain=[lowest, highest], nice=False),
            axis=alt.Axis(values=[10.0**power for power in range(-12, 2)], format="~e", gridColor="#eeeeee"),
        ),
        color=alt.Color(
            "family:N",
            title="codec",
            sort=None,
            scale=alt.Scale(domain=[FAMILIES[name][0] for name in shown], range=[FAMILIES[name][1] for name in shown]),
        ),
    )
    lines = base.transform_filter("isValid(datum.kl)").mark_line(strokeWidth=1.2)
    kinds = alt.Scale(domain=[IN_USE, OTHER, INFINITE], range=["diamond", "circle", "triangle-up"])
    marks = base.mark_point(filled=True, opacity=1, stroke="white", strokeWidth=0.7).encode(
        shape=alt.Shape("kind:N", title="mark", scale=kinds, sort=None),
        size=alt.condition(alt.datum.kind == IN_USE, alt.value(190), alt.value(65)),
    )
    header = alt.Header(labelFontSize=12, labelFontWeight="bold", labelPadding=6)
    picture = (
        alt.layer(lines, marks)
        .properties(width=245, height=280)
        .facet(column=alt.Column("temperature:N", title=None, sort=None, header=header))
        .properties(title=_title(report))
        .configure_title(anchor="start", fontSize=15, subtitleFontSize=12, subtitleColor="#555555", offset=14)
        .configure_view(stroke="#cccccc")
    )
    with written_whole(path) as handle:
        picture.save(handle, format="svg")


def _points(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for line in report["codecs"]:
        kind = IN_USE if line["name"] == report.get("in_use") else OTHER
        for temperature, kl in line.get("kl", {}).items():
            if kl is not None:
                rows.append(
                    {
                        "codec": line["codec"],
                        "family": FAMILIES[line["codec"]][0],
                        "bytes": line["bytes_per_token"],
                        "kl": kl["mean"],
                        "temperature": f"T = {temperature}",
                        "kind": INFINITE if kl["mean"] is None else kind,
                    }
                )
    # What is drawn last lies on top.
    return sorted(rows, key=lambda row: row["kind"] == IN_USE)


def _ticks(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2 and 5 times a power of ten from `low` to `high`."""
    values = [digit * 10.0**power for power in range(8) for digit in (1, 2, 5)]
    within = [value for value in values if low <= value <= high]
    # Over more than two decades they would crowd the axis.
    return within if high < 100 * low else [value for value in within if f"{value:e}".startswith("1")]


def _title(report: Mapping[str, Any]) -> Any:
    import altair as alt

    sample = report["sample"]
    return alt.TitleParams(
        "What the logit cache takes and what it loses",
        subtitle=f"{sample['positions']:,} positions of this teacher, V = {sample['vocab_size']:,}, "
        f"d = {sample['hidden_size']:,}; lower and further left is better",
    )
