"""The leaderboard as the page shows it: columns, groups of lines, and every cell's text and sorting value."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from assertkd.evaluation.comparison import Comparison, Difference, Figures
from assertkd.layout import TEACHER
from assertkd.report.columns import Column, column_of
from assertkd.report.conclusions import format_p, format_points
from assertkd.report.leaderboard import DEVIATION, MAIN, MEAN, Row, in_order

BETTER, WORSE, OPEN = "better", "worse", "open"
"""What a difference from the baseline is: significantly one or the other, or neither."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one line.

    Attributes:
        text: the figure; "" where there is none.
        value: the sorting key of the column; None comes last.
        remark: a smaller line below.
        mark: `BETTER`, `WORSE`, `OPEN`, or "" where nothing was tested.
        hint: the text shown on hovering.
        bar: for a bar, position and interval in percent.
    """

    text: str
    value: float | None = None
    remark: str = ""
    mark: str = ""
    hint: str = ""
    bar: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table. `kind` is teacher, baseline, variant or seed."""

    name: str
    detail: str
    kind: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading; `leads` says whether it is shown from the start, or only among all figures."""

    text: str
    unit: str
    meaning: str
    leads: bool


@dataclass(frozen=True, slots=True)
class LeaderboardTable:
    """The table; every group is a variant with its seeds, and is sorted as one."""

    headings: list[Heading]
    groups: list[list[Line]] = field(default_factory=list)
    has_seeds: bool = False
    baseline: str | None = None


def leaderboard_table(rows: Sequence[Row], comparison: Comparison | None) -> LeaderboardTable:
    """Return the leaderboard of the page.

    Args:
        rows: as `leaderboard` returns them.
        comparison: every variant against the baseline; None leaves the column of differences out.
    """
    names = list(in_order({name: 0.0 for row in rows for name in row.figures}))
    baseline = comparison.baseline if comparison is not None else None
    headings = [_heading(column_of(name)) for name in names]
    if baseline is not None:
        meaning = (
            f"Exact match minus that of {baseline} on the same examples, in percentage points, with its 95 % interval. "
            "▲ and ▼: significant after Holm's correction over all models; =: could be chance."
        )
        headings.insert(1, Heading(f"vs {baseline}", "points", meaning, True))
    deviations = {row.variant: row for row in rows if row.seed == DEVIATION}
    groups: list[list[Line]] = []
    for row in rows:
        if row.seed == DEVIATION:
            continue
        is_seed_of_several = row.variant in deviations and row.seed != MEAN
        figures = None if is_seed_of_several else _compared(row, comparison)
        cells = [_cell(name, row, figures, deviations.get(row.variant) if row.seed == MEAN else None) for name in names]
        if baseline is not None:
            cells.insert(1, _difference(figures))
        line = Line(*_label(row, rows, is_seed_of_several, baseline), cells)
        if is_seed_of_several:
            groups[-1].append(line)
        else:
            groups.append([line])
    return LeaderboardTable(headings, groups, bool(deviations), baseline)


def _heading(column: Column) -> Heading:
    return Heading(column.heading, column.unit, column.meaning, column.leads)


def _compared(row: Row, comparison: Comparison | None) -> Figures | None:
    if comparison is None:
        return None
    return comparison.teacher if row.model == TEACHER else comparison.variants.get(row.variant)


def _label(row: Row, rows: Sequence[Row], is_seed_of_several: bool, baseline: str | None) -> tuple[str, str, str]:
    """Return a line's name, detail and kind."""
    if row.model == TEACHER:
        return TEACHER, "", "teacher"
    if is_seed_of_several:
        return "", f"seed {row.seed}", "seed"
    kind, details = "variant", []
    if row.variant == baseline:
        kind = "baseline"
        details.append("baseline")
    if row.seed == MEAN:
        seeds = sum(other.variant == row.variant and not other.sums_up for other in rows)
        details.append(f"mean of {seeds} seeds")
    return row.variant, ", ".join(details), kind


def _cell(name: str, row: Row, figures: Figures | None, deviations: Row | None) -> Cell:
    value = row.figures.get(name)
    if value is None:
        return Cell("")
    column = column_of(name)
    mark = hint = remark = ""
    interval = row.intervals.get(name)
    if figures is not None and name in figures:
        interval = interval or (figures[name].low, figures[name].high)
        if (difference := figures[name].difference) is not None:
            mark = _mark(difference)
            hint = f"{format_points(difference.mean)} points against the baseline, {format_p(difference.p_holm)}"
    if interval is not None:
        bounds = f"{column.number(interval[0])} – {column.number(interval[1])}"
        hint = f"95 % interval {bounds}" + (f"; {hint}" if hint else "")
        if name == MAIN:
            remark = bounds
    if deviations is not None and name in deviations.figures:
        remark = ", ".join(filter(None, [remark, f"± {column.number(deviations.figures[name])}"]))
    bar = None
    if name == MAIN:
        low, high = interval or (value, value)
        bar = (100 * value, 100 * low, 100 * high)
    # The first column's mark is in the column of differences beside it.
    return Cell(column.number(value), value, remark, "" if name == MAIN else mark, hint, bar)


def _difference(figures: Figures | None) -> Cell:
    difference = figures[MAIN].difference if figures is not None and MAIN in figures else None
    if difference is None:
        return Cell("")
    return Cell(
        format_points(difference.mean),
        difference.mean,
        f"{format_points(difference.low)} to {format_points(difference.high)}",
        _mark(difference),
        f"{format_p(difference.p_holm)} (Holm), p = {difference.p:.2g} uncorrected",
    )


def _mark(difference: Difference) -> str:
    if not difference.significant:
        return OPEN
    return BETTER if difference.mean > 0 else WORSE


def meanings(table: LeaderboardTable) -> list[tuple[str, str]]:
    """Return heading and meaning of every column that has one."""
    return [(heading.text, heading.meaning) for heading in table.headings if heading.meaning]
