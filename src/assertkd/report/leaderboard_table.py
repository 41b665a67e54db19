"""The leaderboard as the page shows it: columns, groups of lines, and every cell's text and sorting value."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from assertkd.evaluation.comparison import Comparison, Difference, Figures, format_steps
from assertkd.layout import EXTERNAL, TEACHER
from assertkd.report.columns import Column, column_of, in_order
from assertkd.report.conclusions import format_p, format_points
from assertkd.report.leaderboard import DEVIATION, MAIN, MEAN, Row


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one line.

    Attributes:
        text: the figure; "" where there is none.
        value: the sorting key of the column; None comes last.
        remark: a smaller line below.
        mark: "better" or "worse" for a significant difference from the baseline, "open" for another that was tested,
            "" where nothing was.
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
    """A row of the table. `kind` is teacher, baseline, variant, seed or external."""

    name: str
    detail: str
    kind: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class LeaderboardTable:
    """The table; every group is a variant with its seeds, and is sorted as one.

    `is_tested` says whether any difference from the baseline was tested, `untested` why others were not,
    `has_external` whether there are other systems.
    """

    columns: list[Column]
    groups: list[list[Line]]
    has_seeds: bool
    baseline: str | None
    is_tested: bool
    untested: list[str]
    has_external: bool


def leaderboard_table(rows: Sequence[Row], comparison: Comparison | None) -> LeaderboardTable:
    """Return the leaderboard of the page.

    Args:
        rows: as `leaderboard` returns them.
        comparison: every variant against the baseline; None leaves the column of differences out.
    """
    names = in_order(name for row in rows for name in row.figures)
    columns = [column_of(name) for name in names]
    baseline = comparison.baseline if comparison is not None else None
    compared = {"": comparison.teacher, **comparison.variants, **comparison.external} if comparison is not None else {}
    found = [figure.difference for figures in compared.values() for figure in (figures or {}).values()]
    differences = [difference for difference in found if difference is not None]
    is_tested = any(one.test is not None for one in differences)
    if baseline is not None:
        meaning = (
            f"Exact match minus that of {baseline} on the same examples, in percentage points, with its 95 % interval: "
            "over seeds where it was tested, over examples where not."
            + (" ▲ and ▼: significant after Holm's correction over variants; =: could be chance." if is_tested else "")
        )
        columns.insert(1, Column(f"vs {baseline}", meaning, "points", leads=True))
    deviations = {row.variant: row for row in rows if row.seed == DEVIATION}
    seeds = Counter(row.variant for row in rows if not row.sums_up)
    groups: list[list[Line]] = []
    for row in rows:
        if row.seed == DEVIATION:
            continue
        is_seed_of_several = row.variant in deviations and row.seed != MEAN
        figures = {} if is_seed_of_several else compared.get(row.variant) or {}
        cells = [_cell(name, row, figures, deviations.get(row.variant) if row.seed == MEAN else None) for name in names]
        if baseline is not None:
            cells.insert(1, _difference(figures))
        if is_seed_of_several:
            groups[-1].append(Line("", f"seed {row.seed}", "seed", cells))
            continue
        is_baseline = row.variant == baseline
        details = [
            "baseline" if is_baseline else "",
            "other system" if row.model == EXTERNAL else "",
            f"mean of {seeds[row.variant]} seeds" if row.seed == MEAN else "",
        ]
        kind = row.model if row.model in (TEACHER, EXTERNAL) else "baseline" if is_baseline else "variant"
        groups.append([Line(row.name, ", ".join(filter(None, details)), kind, cells)])
    kinds = {row.model for row in rows}
    untested = list(dict.fromkeys(one.reason for one in differences if one.reason is not None))
    return LeaderboardTable(columns, groups, bool(deviations), baseline, is_tested, untested, EXTERNAL in kinds)


def _cell(name: str, row: Row, figures: Figures, deviations: Row | None) -> Cell:
    value = row.figures.get(name)
    if value is None:
        return Cell("")
    number = column_of(name).number
    mark = remark = ""
    hints = []
    interval = row.intervals.get(name)
    if name in figures:
        interval = interval or (figures[name].low, figures[name].high)
        if (difference := figures[name].difference) is not None:
            mark = _mark(difference)
            hints = [f"{format_points(difference.mean)} points against the baseline, {_test_of(difference)}"]
    if interval is not None:
        bounds = f"{number(interval[0])} – {number(interval[1])}"
        hints.insert(0, f"95 % interval {bounds}")
        if name == MAIN:
            remark = bounds
    if deviations is not None and name in deviations.figures:
        remark = ", ".join(filter(None, [remark, f"± {number(deviations.figures[name])}"]))
    hint = "; ".join(hints)
    if name != MAIN:
        return Cell(number(value), value, remark, mark, hint)
    low, high = interval or (value, value)
    # The first column's mark is in the column of differences beside it.
    return Cell(number(value), value, remark, hint=hint, bar=(100 * value, 100 * low, 100 * high))


def _difference(figures: Figures) -> Cell:
    difference = figures[MAIN].difference if MAIN in figures else None
    if difference is None:
        return Cell("")
    return Cell(
        format_points(difference.mean),
        difference.mean,
        f"{format_points(difference.low)} to {format_points(difference.high)}"
        + (f"; {format_steps(*difference.unequal_steps)}" if difference.unequal_steps else ""),
        _mark(difference),
        _test_of(difference),
    )


def _test_of(difference: Difference) -> str:
    if difference.p is None or difference.p_holm is None:
        return f"not tested: {difference.reason}"
    return f"{format_p(difference.p_holm)} (Holm), p = {difference.p:.2g} uncorrected"


def _mark(difference: Difference) -> str:
    if difference.test is None:
        return ""
    if not difference.significant:
        return "open"
    return "better" if difference.mean > 0 else "worse"
