"""A figure, the colours that all figures share, and a figure's files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from assertkd.files import write_text
from assertkd.layout import TEACHER

DATA = alt.NamedData(name="data")
"""The data of every chart; the rows are added where it is drawn."""

LEGEND = alt.Legend(orient="bottom", title=None, symbolType="circle")
"""A legend below the chart, in as many columns as the style allows."""

# Each has a contrast of 3 : 1 or more on white and on the dark page.
PALETTE = (
    *("#3f83c8", "#d9722e", "#2f9e6b", "#cf4f68", "#8a6bd1", "#a8850c"),
    *("#1f9aa3", "#c25fb0", "#7f8a2f", "#b06f45", "#5f7fa6", "#9a5a86"),
)
TEACHER_COLOUR = "#7d8590"

STATIC_STYLE: dict[str, Any] = {
    "background": "white",
    "font": "sans-serif",
    "axis": {"labelColor": "#4a5260", "titleColor": "#1c2330", "gridColor": "#e6e9ee", "titleFontWeight": "normal"},
    "legend": {"labelColor": "#1c2330", "titleColor": "#1c2330", "titleFontWeight": "normal", "columns": 5},
    "header": {"labelColor": "#1c2330", "titleColor": "#1c2330", "labelFontWeight": "bold"},
    "view": {"stroke": "#d0d5dd"},
    "title": {"anchor": "start", "color": "#1c2330", "fontSize": 14, "offset": 12},
}
"""Colours of the figures as files; on the page they are those of the page."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart over one table.

    Attributes:
        name: of its files.
        title: what it shows.
        caption: how it is read.
        chart: draws `DATA`.
        rows: the table; every row has the same keys.
    """

    name: str
    title: str
    caption: str
    chart: alt.TopLevelMixin
    rows: Sequence[Mapping[str, Any]]

    def spec(self) -> dict[str, Any]:
        """Return the chart as Vega-Lite, without style and without the rows."""
        spec = dict(self.chart.to_dict())
        # Altair adds its style, and sizes that the page sets itself.
        spec.pop("config", None)
        return spec

    def types(self) -> dict[str, str]:
        """Return the type of each column of the CSV: "number", "boolean" or "string"."""
        kinds = {}
        for name in self.rows[0]:
            values = [row[name] for row in self.rows if row[name] is not None]
            if all(isinstance(value, bool) for value in values):
                kinds[name] = "boolean"
            else:
                kinds[name] = "number" if all(isinstance(value, int | float) for value in values) else "string"
        return kinds

    def csv(self) -> str:
        """Return the table as CSV."""
        return pd.DataFrame(list(self.rows)).to_csv(index=False, lineterminator="\n")

    def svg(self) -> str:
        """Return the picture, in light colours."""
        spec = self.spec() | {"datasets": {DATA.name: list(self.rows)}, "config": STATIC_STYLE, "title": self.title}
        return str(vl_convert.vegalite_to_svg(json.dumps(spec)))


def write_figures(folder: Path, figures: Sequence[Figure]) -> None:
    """Write every figure as `{name}.svg` and its table as `{name}.csv`; the folder exists afterwards in any case."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        write_text(folder / f"{figure.name}.svg", figure.svg())
        write_text(folder / f"{figure.name}.csv", figure.csv())


def colours(names: Sequence[str]) -> alt.Scale:
    """Return a colour for every name; the teacher's is grey, and twelve others differ."""
    others = [name for name in names if name != TEACHER]
    palette = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(others)}
    return alt.Scale(domain=list(names), range=[palette.get(name, TEACHER_COLOUR) for name in names])
