"""The picture of a fidelity report: what each codec takes against what it loses, a panel a temperature."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assertkd.files import written_whole

if TYPE_CHECKING:
    import altair as alt

SMALLEST = 1e-12
"""Divergences below this, zero among them, are drawn here: a logarithmic axis has no zero."""

FAMILIES = {
    "original": ("original (float16, LZ4, base64)", "#8a8f98"),
    "dense": ("dense", "#7a5cc4"),
    "hidden": ("hidden", "#3f83c8"),
    "topk": ("topk", "#d0642f"),
    "renormalised top-k": ("top k, renormalised", "#a8850c"),
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

    points, sample = fidelity_points(report), report["sample"]
    title = alt.TitleParams(
        "What the logit cache takes and what it loses",
        subtitle=f"{sample['positions']:,} positions of this teacher, V = {sample['vocab_size']:,}, "
        f"d = {sample['hidden_size']:,}; lower and further left is better",
    )
    picture = (
        fidelity_chart(points, pd.DataFrame(points))
        .properties(title=title)
        .configure_title(anchor="start", fontSize=15, subtitleFontSize=12, subtitleColor="#555555", offset=14)
        .configure_view(stroke="#cccccc")
        .configure_axis(gridColor="#eeeeee")
    )
    with written_whole(path) as handle:
        picture.save(handle, format="svg")


def fidelity_chart(points: Sequence[Mapping[str, Any]], data: Any) -> "alt.FacetChart":
    """Return what each codec takes against what it loses, a panel a temperature.

    The points of `fidelity_points` decide on axes and colours. The chart draws `data`: the points, or the name by which
    they are given to it later.
    """
    import altair as alt

    bytes_, heights = [point["bytes"] for point in points], [point["drawn"] for point in points]
    sizes = [min(bytes_) / 1.5, max(bytes_) * 1.5]
    shown = [name for name in FAMILIES if name in {point["codec"] for point in points}]
    base = alt.Chart(data, width=245, height=280).encode(
        x=alt.X(
            "bytes:Q",
            title="bytes per target token",
            scale=alt.Scale(type="log", domain=sizes, nice=False),
            axis=alt.Axis(values=_ticks(*sizes), format="~s", grid=False),
        ),
        y=alt.Y(
            "drawn:Q",
            title="mean KL(full || stored), nats",
            scale=alt.Scale(type="log", domain=[min(heights) / 3, max(1.0, *heights)], nice=False),
            axis=alt.Axis(values=[10.0**power for power in range(-12, 2)], format="~e"),
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
    marks = base.mark_point(filled=True, opacity=1).encode(
        shape=alt.Shape("kind:N", title="mark", scale=kinds, sort=None),
        size=alt.condition(alt.datum.kind == IN_USE, alt.value(190), alt.value(65)),
        tooltip=["name:N", alt.Tooltip("bytes:Q", format=",.1f"), alt.Tooltip("kl:Q", format=".2e")],
    )
    header = alt.Header(labelFontSize=12, labelFontWeight="bold", labelPadding=6)
    temperatures = list(dict.fromkeys(point["temperature"] for point in points))
    return alt.layer(lines, marks).facet(
        facet=alt.Facet("temperature:N", title=None, sort=temperatures, header=header), columns=len(temperatures)
    )


def fidelity_points(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row a codec and temperature; the codec in use comes last, since what is drawn last lies on top.

    Keys: `name` and `codec`; `family`: the codec's name in the legend; `bytes` a target token; `kl`: mean divergence,
    None where it is infinite; `drawn`: the same within the axis; `temperature` and `kind`, as they are written.
    """
    rows = []
    for line in report["codecs"]:
        kind = IN_USE if line["name"] == report.get("in_use") else OTHER
        for temperature, kl in line.get("kl", {}).items():
            if kl is not None:
                rows.append(
                    {
                        "name": line["name"],
                        "codec": line["codec"],
                        "family": FAMILIES[line["codec"]][0],
                        "bytes": line["bytes_per_token"],
                        "kl": kl["mean"],
                        "temperature": f"T = {temperature}",
                        "kind": INFINITE if kl["mean"] is None else kind,
                    }
                )
    highest = max([1.0, *(row["kl"] for row in rows if row["kl"] is not None)]) * 4
    for row in rows:
        row["drawn"] = highest if row["kl"] is None else max(row["kl"], SMALLEST)
    return sorted(rows, key=lambda row: row["kind"] == IN_USE)


def _ticks(low: float, high: float) -> list[float]:
    """Return the numbers 1, 2 and 5 times a power of ten from `low` to `high`."""
    values = [digit * 10.0**power for power in range(8) for digit in (1, 2, 5)]
    within = [value for value in values if low <= value <= high]
    # Over more than two decades they would crowd the axis.
    return within if high < 100 * low else [value for value in within if f"{value:e}".startswith("1")]
