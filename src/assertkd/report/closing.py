"""What a finished run says on the terminal: a short leaderboard, and where the report is."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from assertkd.layout import ReportLayout
from assertkd.report.columns import column_of
from assertkd.report.leaderboard import DEVIATION, MEAN
from assertkd.report.text_table import aligned

FIGURES = ("exact_match", "code_quality_score", "semantic_similarity", "knowledge_retention_score", "parameters")
"""Columns of the short leaderboard, where the run has them: as many as 80 characters hold."""

MOST_ROWS = 12

MOST_RESULTS = 3
"""So many of the results that a report is too old for are named."""


def closing_message(files: ReportLayout, run: str, results: Iterable[Path]) -> str:
    """Return what a run ends with: its leaderboard with the note that it has, and the path of the report.

    A report that is older than a result has no leaderboard of it: then the message says so, and how to make it anew.

    Args:
        files: of the run's report; they may be missing.
        run: its name.
        results: what the report sums up; some may be missing.
    """
    if not files.page.exists() or not files.leaderboard.exists():
        return f"The run `{run}` has no full report yet."
    written = files.page.stat().st_mtime_ns
    if later := [str(result) for result in results if result.exists() and result.stat().st_mtime_ns > written]:
        folder = files.folder.parent
        option = f"--output_dir {folder}" if (folder / "config.yaml").exists() else f"--run {run}"
        return (
            f"The report {files.page.resolve()} is older than these results: "
            f"{', '.join(later[:MOST_RESULTS])}{', …' * (len(later) > MOST_RESULTS)}\n"
            f"Make it anew with `assertkd report {option} --retrain`, and with the options of these results."
        )
    rows = read_rows(files.leaderboard)
    notes = [row["note"] for row in rows if row.get("note")]
    return "\n".join(["", *short_leaderboard(rows), "", *notes, f"Report: {files.page.resolve()}"])


def read_rows(leaderboard: Path) -> list[dict[str, str]]:
    """Return the rows of a `leaderboard.csv`."""
    with leaderboard.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def short_leaderboard(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the lines of a table with one row a model, a variant's seeds summed up; the first rows of many.

    Args:
        rows: of the leaderboard, in its order.
    """
    summed_up = {row["variant"] for row in rows if row["seed"] == MEAN}
    models = [
        row for row in rows if row["seed"] == MEAN or (row["seed"] != DEVIATION and row["variant"] not in summed_up)
    ]
    names = [name for name in FIGURES if any(row.get(name) for row in models)]
    columns = [column_of(name) for name in names]
    table = [["", *(column.heading for column in columns)]]
    for row in models[:MOST_ROWS]:
        figures = [
            f"{column.number(float(row[name]))} {column.unit}".rstrip() if row.get(name) else ""
            for name, column in zip(names, columns, strict=True)
        ]
        table.append([row["variant"] or row["model"], *figures])
    return aligned(table, str.rjust) + [f"and {len(models) - MOST_ROWS} more in the report"] * (len(models) > MOST_ROWS)
