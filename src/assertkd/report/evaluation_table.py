"""The figures of one evaluation as text for a terminal."""

from collections.abc import Mapping
from typing import Any

from assertkd.layout import TEACHER
from assertkd.report.columns import COST_COLUMNS, column_of, in_order
from assertkd.report.text_table import aligned


def evaluation_table(comparison: Mapping[str, Any]) -> str:
    """Return a model's figures, with its teacher's and the gaps where there is a teacher, one figure a line.

    Args:
        comparison: what `evaluation_metrics.json` holds.
    """
    names = [name for name in ("student", TEACHER) if name in comparison]
    model, *against = names
    summary = comparison[model]
    rows = [["", *("model" if name != TEACHER else name for name in names), *["teacher − model"] * len(against)]]
    for metric in in_order({name: None for side in names for name in comparison[side]["metrics"]}):
        figures = [comparison[name]["metrics"].get(metric) for name in names]
        gaps = [comparison.get("gaps", {}).get(metric)] * len(against)
        rows.append([_heading(metric), *(_interval(metric, figure) for figure in (*figures, *gaps))])
    retention = comparison.get("retention", {})
    rows += [[_heading(name), _interval(name, retention[name])] for name in in_order(retention)]
    if "kl_divergence" in summary:
        bound = " (lower bound)" if summary["kl_divergence_is"] != "whole" else ""
        rows.append([_heading("kl_divergence"), f"{_number('kl_divergence', summary['kl_divergence'])}{bound}"])
    costs = comparison.get("cost", {})
    for name in COST_COLUMNS:
        if any(name in costs.get(side, {}) for side in names):
            rows.append([_heading(name), *(_number(name, costs.get(side, {}).get(name)) for side in names)])
    head = f"{summary['n']:,} examples; in brackets 95 % intervals over examples"
    return "\n".join([head, "", *aligned(rows, str.ljust)])


def _heading(name: str) -> str:
    column = column_of(name)
    return f"{column.heading}, {column.unit}" if column.unit else column.heading


def _number(name: str, value: float | None) -> str:
    return "" if value is None else column_of(name).number(value)


def _interval(name: str, figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    mean, low, high = (column_of(name).number(figure[key]) for key in ("mean", "low", "high"))
    of = f" of {figure['n']:.0f}" if "n" in figure else ""
    return f"{mean} [{low}, {high}]{of}"
