"""The leaderboard: one row a model and seed; mean and standard deviation where a variant has several seeds."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev

from assertkd.files import read_json, written_whole
from assertkd.layout import EXTERNAL, TEACHER
from assertkd.report.columns import BUDGET_COLUMNS, CONTROL_COLUMNS, COST_COLUMNS, TEACHER_COLUMNS, in_order
from assertkd.report.results import Model

STUDENT = "student"
"""Entry of the `model` column, beside `TEACHER` and `EXTERNAL`."""

MEAN, DEVIATION = "mean", "standard deviation"
"""Entries of the `seed` column for the rows that sum up a variant's seeds."""

MAIN = "exact_match"
"""The metric that orders the leaderboard."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the leaderboard.

    Attributes:
        model: `TEACHER`, `STUDENT` or `EXTERNAL`.
        variant: name of the student's variant, or of the other system; "" for the teacher.
        seed: the training seed, `MEAN`, `DEVIATION`, or "".
        n: test examples.
        figures: name to stored value: metrics, agreement with the teacher, cost, training; what was not measured is
            absent.
        intervals: figure's name to the bounds of its 95 % interval.
        kl_divergence_is: "whole", or "lower bound" where the cache keeps not the whole vocabulary.
        note: a warning for the reader.
    """

    model: str
    variant: str
    seed: str
    n: int
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    kl_divergence_is: str = ""
    note: str = ""

    @property
    def sums_up(self) -> bool:
        """Whether the row is about all seeds of a variant."""
        return self.seed in (MEAN, DEVIATION)

    @property
    def name(self) -> str:
        """The row's label: the variant, or `TEACHER`."""
        return self.variant or TEACHER


def leaderboard(models: Sequence[Model], baseline: str | None = "hard_labels") -> list[Row]:
    """Return the rows: the teacher first, then variants and last other systems, by exact match, as are seeds.

    A variant with several seeds is led by a row of means and a row of sample standard deviations over seeds. The
    teacher's row has `teacher_warning` as its note.

    Raises:
        UserError: a summary is missing or is not JSON.
    """
    variants: dict[str, list[Row]] = {}
    for row in sorted(map(row_of, models), key=_by_exact_match):
        variants.setdefault(row.variant, []).append(row)
    teachers = variants.pop("", [])
    groups = sorted(
        (over_seeds(seeds) + seeds for seeds in variants.values()),
        key=lambda group: (group[0].model == EXTERNAL, _by_exact_match(group[0])),
    )
    others = [row for group in groups for row in group]
    warning = teacher_warning([*teachers, *others], baseline) or ""
    return [replace(row, note=warning) for row in teachers] + others


def _by_exact_match(row: Row) -> tuple[float, str, str]:
    """Return a sorting key: best first; names decide between equals."""
    return -row.figures[MAIN], row.variant, row.seed


def row_of(model: Model) -> Row:
    """Return the row of one model and seed; of another system it has the metrics alone."""
    summary = read_json(model.evaluation.summary)
    comparison = {} if model.is_external else read_json(model.evaluation.comparison)
    kind = TEACHER if model.is_teacher else EXTERNAL if model.is_external else STUDENT
    measured = {**comparison.get("cost", {}).get(kind, {}), **summary}
    with_intervals = {**summary["metrics"], **comparison.get("retention", {})}
    names = (*CONTROL_COLUMNS, *TEACHER_COLUMNS, *COST_COLUMNS)
    plain = {name: measured[name] for name in names if measured.get(name) is not None}
    trained = model.training_report()
    plain |= {name: trained[name] for name in ("parameters", *BUDGET_COLUMNS) if name in trained and name not in plain}
    return Row(
        model=kind,
        variant="" if model.is_teacher else model.variant,
        seed="" if model.seed is None else str(model.seed),
        n=summary["n"],
        figures={name: value["mean"] for name, value in with_intervals.items()} | plain,
        intervals={name: (value["low"], value["high"]) for name, value in with_intervals.items()},
        kl_divergence_is=summary.get("kl_divergence_is", ""),
    )


def over_seeds(rows: Sequence[Row]) -> list[Row]:
    """Return a row of means and one of sample standard deviations of what all seeds have; none for one seed."""
    if len(rows) < 2:
        return []
    first = rows[0]
    common = [name for name in first.figures if all(name in row.figures for row in rows)]
    return [
        Row(
            model=first.model,
            variant=first.variant,
            seed=name,
            n=first.n,
            figures={figure: over([row.figures[figure] for row in rows]) for figure in common},
            kl_divergence_is=first.kl_divergence_is,
        )
        for name, over in ((MEAN, fmean), (DEVIATION, stdev))
    ]


def variant_rows(rows: Sequence[Row]) -> list[Row]:
    """Return one row a variant, and the teacher's: the mean over seeds where there are several."""
    summed_up = {row.variant for row in rows if row.seed == MEAN}
    return [row for row in rows if row.seed == MEAN or (row.variant not in summed_up and not row.sums_up)]


def optimizer_steps(rows: Sequence[Row]) -> dict[str, float]:
    """Return variant to the mean optimizer steps of its trainings, where all of them tell."""
    steps = "optimizer_steps"
    return {row.variant: row.figures[steps] for row in variant_rows(rows) if row.variant and steps in row.figures}


def teacher_warning(rows: Sequence[Row], baseline: str | None = "hard_labels") -> str | None:
    """Return a sentence if the teacher's exact match is not above the baseline student's (mean over seeds), else None.

    None also where there is no such variant, or no teacher.
    """
    teacher = next((row for row in rows if row.model == TEACHER), None)
    seeds = [row for row in rows if row.model != TEACHER and row.variant == baseline and not row.sums_up]
    if teacher is None or not seeds:
        return None
    teacher_share = teacher.figures[MAIN]
    student_share = fmean(row.figures[MAIN] for row in seeds)
    if teacher_share > student_share:
        return None
    of_seeds = f" (mean of {len(seeds)} seeds)" if len(seeds) > 1 else ""
    return (
        f"This trained teacher's exact match is not above that of the baseline student ({baseline}): "
        f"{teacher_share:.1%} against {student_share:.1%}{of_seeds}, a difference of "
        f"{100 * (teacher_share - student_share):.1f} percentage points. "
        "Gains from distillation have to be read with this in mind."
    )


def write_leaderboard(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV, figures in full precision, empty where there is none."""
    figures = in_order(name for row in rows for name in row.figures)
    with written_whole(path) as handle:
        writer = csv.writer(handle)
        bounds = [f"{MAIN}_low", f"{MAIN}_high"]
        writer.writerow(["model", "variant", "seed", "n", *figures, *bounds, "kl_divergence_is", "note"])
        for row in rows:
            shown = [*map(row.figures.get, figures), *row.intervals.get(MAIN, ("", ""))]
            writer.writerow([row.model, row.variant, row.seed, row.n, *shown, row.kl_divergence_is, row.note])
