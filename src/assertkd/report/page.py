"""The report page: one HTML file that needs no network and no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from assertkd.evaluation.metrics import METRIC_NAMES
from assertkd.files import write_text
from assertkd.report.columns import METRIC_COLUMNS, OTHER_COLUMNS
from assertkd.report.corpus_tables import corpus_tables
from assertkd.report.examples import Example
from assertkd.report.fidelity_section import FidelitySection
from assertkd.report.leaderboard import MEAN, SPREAD, TEACHER, Row


@dataclass(frozen=True, slots=True)
class Figure:
    """A share in the table: its text, a remark below it, and for a bar its position and interval in percent."""

    text: str
    remark: str = ""
    share: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the page's leaderboard."""

    name: str
    detail: str
    kind: str
    parameters: str
    figures: list[Figure]


def write_page(
    path: Path,
    *,
    title: str,
    rows: Sequence[Row],
    quality: Mapping[str, Any],
    examples: Sequence[Example],
    settings: Mapping[str, Any],
    fidelity: FidelitySection | None = None,
) -> None:
    """Write the report page.

    Args:
        path: the HTML file.
        title: its heading.
        rows: the leaderboard; the teacher's note is shown on top.
        quality: what `prepare_corpus` wrote about the corpus.
        examples: test examples with the models' answers.
        settings: the run's settings, shown folded.
        fidelity: how faithful the logit cache is; None leaves the section out.
    """
    # Autoescape everywhere: code, names and reasons come from data.
    environment = Environment(
        loader=PackageLoader("assertkd.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        title=title,
        notes=[row.note for row in rows if row.note],
        headings=[METRIC_COLUMNS[name][0] for name in METRIC_NAMES],
        lines=lines_of(rows),
        has_seeds=any(row.seed == MEAN for row in rows),
        test_examples=rows[0].n if rows else 0,
        meanings=[*(METRIC_COLUMNS[name] for name in METRIC_NAMES), *OTHER_COLUMNS.values()],
        other_headings={name: heading for name, (heading, _) in OTHER_COLUMNS.items()},
        corpus=corpus_tables(quality),
        examples=examples,
        fidelity=fidelity,
        settings=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True),
    )
    write_text(path, page)


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """Return the leaderboard's lines; a variant's mean and standard deviation become one."""
    lines = []
    summed_up = {row.variant for row in rows if row.seed == MEAN}
    spreads = {row.variant: row for row in rows if row.seed == SPREAD}
    for row in rows:
        if row.seed == SPREAD:
            continue
        seeds = sum(other.variant == row.variant and not other.sums_up for other in rows)
        if row.model == TEACHER:
            name, detail, kind = "Teacher", "", "teacher"
        elif row.seed == MEAN:
            name, detail, kind = row.variant, f"mean of {seeds} seeds", "mean"
        elif row.variant in summed_up:
            name, detail, kind = "", f"seed {row.seed}", "seed"
        else:
            name, detail, kind = row.variant, f"seed {row.seed}" if row.seed else "", "student"
        parameters = "" if row.parameters is None else in_millions(row.parameters)
        lines.append(Line(name, detail, kind, parameters, figures_of(row, spreads.get(row.variant))))
    return lines


def figures_of(row: Row, spread: Row | None) -> list[Figure]:
    """Return a row's figures: every metric, then agreement with the teacher. `spread` serves rows of means."""
    shares = [*(row.metrics[name] for name in METRIC_NAMES), row.output_agreement]
    remarks = [""] * len(shares)
    if row.seed == MEAN and spread is not None:
        spreads = [*(spread.metrics[name] for name in METRIC_NAMES), spread.output_agreement]
        remarks = ["" if value is None else f"± {100 * value:.1f}" for value in spreads]
    figures = [
        Figure("", "") if share is None else Figure(percent(share), remark, 100 * share)
        for share, remark in zip(shares, remarks, strict=True)
    ]
    if row.exact_match_low is not None and row.exact_match_high is not None:
        low, high = 100 * row.exact_match_low, 100 * row.exact_match_high
        figures[0] = Figure(figures[0].text, f"{low:.1f} – {high:.1f}", figures[0].share, low, high)
    return figures


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f}"


def in_millions(parameters: int) -> str:
    """Return a number of weights in millions, with three digits or more."""
    millions = parameters / 1e6
    return f"{millions:,.0f} M" if millions >= 100 else f"{millions:.3g} M"
