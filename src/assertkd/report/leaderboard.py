"""The leaderboard: one row a model and seed, and where a variant has several seeds, their mean and spread."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from assertkd.evaluation.metrics import METRIC_NAMES
from assertkd.files import read_json, written_whole

TEACHER = "teacher"
"""Model name of the teacher; every other model is a student."""

MEAN, SPREAD = "mean", "standard deviation"
"""What stands in the `seed` column of the rows that sum up a variant's seeds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the results of one model lie.

    Attributes:
        model: `TEACHER`, or the student's name.
        variant: name of the student's variant; "" for the teacher.
        seed: the training seed, or None.
        summary: its `metrics_summary_final.json`; a student's `evaluation_metrics.json` lies beside it.
        training_report: its `training_report.json`, or None.
    """

    model: str
    variant: str
    seed: int | None
    summary: Path
    training_report: Path | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the leaderboard; figures that do not exist are None. Attributes are the columns."""

    model: str
    variant: str
    seed: str
    parameters: int | None
    n: int
    metrics: dict[str, float]
    exact_match_low: float | None = None
    exact_match_high: float | None = None
    output_agreement: float | None = None
    kl_divergence: float | None = None
    kl_divergence_is: str = ""
    note: str = ""

    @property
    def sums_up(self) -> bool:
        """Whether the row is about all seeds of a variant."""
        return self.seed in (MEAN, SPREAD)


def leaderboard(entries: Sequence[Entry], hard_labels_variant: str = "hard_labels") -> list[Row]:
    """Return the rows: the teacher first, then variants by exact match, each with its seeds by exact match.

    A variant with several seeds is led by a row of means and a row of sample standard deviations over seeds. The
    teacher's row bears `teacher_verdict` as its note.

    Raises:
        UserError: a summary is missing or is not JSON.
    """
    rows = [row_of(entry) for entry in entries]
    teachers = [row for row in rows if row.model == TEACHER]
    variants: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.model != TEACHER:
            variants.setdefault((row.model, row.variant), []).append(row)
    groups = [over_seeds(seeds) + sorted(seeds, key=by_exact_match) for seeds in variants.values()]
    ordered = teachers + [row for group in sorted(groups, key=lambda group: by_exact_match(group[0])) for row in group]
    verdict = teacher_verdict(ordered, hard_labels_variant)
    return [replace(row, note=verdict or "") if row.model == TEACHER else row for row in ordered]


def by_exact_match(row: Row) -> tuple[float, str, str]:
    """Return a sorting key: best first; names decide between equals."""
    return -row.metrics["exact_match"], row.variant, row.seed


def row_of(entry: Entry) -> Row:
    """Return the row of one model and seed."""
    summary = read_json(entry.summary)
    figures = summary["metrics"]
    comparison = read_json(entry.summary.with_name("evaluation_metrics.json"))
    agreement = comparison.get("retention", {}).get("output_agreement")
    report = read_json(entry.training_report) if entry.training_report is not None else {}
    return Row(
        model=entry.model,
        variant=entry.variant,
        seed="" if entry.seed is None else str(entry.seed),
        parameters=report.get("parameters"),
        n=summary["n"],
        metrics={name: figures[name]["mean"] for name in METRIC_NAMES if name in figures},
        exact_match_low=figures["exact_match"]["low"],
        exact_match_high=figures["exact_match"]["high"],
        output_agreement=None if agreement is None else agreement["mean"],
        kl_divergence=summary.get("kl_divergence"),
        kl_divergence_is=summary.get("kl_divergence_is", ""),
    )


def over_seeds(rows: Sequence[Row]) -> list[Row]:
    """Return a row of means and one of sample standard deviations over the seeds of a variant; none for one seed."""
    if len(rows) < 2:
        return []
    first = rows[0]
    return [
        Row(
            model=first.model,
            variant=first.variant,
            seed=name,
            parameters=first.parameters,
            n=first.n,
            metrics={metric: figure([row.metrics[metric] for row in rows]) for metric in first.metrics},
            output_agreement=_over([row.output_agreement for row in rows], figure),
            kl_divergence=_over([row.kl_divergence for row in rows], figure),
            kl_divergence_is=first.kl_divergence_is,
        )
        for name, figure in ((MEAN, fmean), (SPREAD, stdev))
    ]


def _over(values: Sequence[float | None], figure: Callable[[list[float]], float]) -> float | None:
    known = [value for value in values if value is not None]
    return figure(known) if len(known) == len(values) else None


def teacher_verdict(rows: Sequence[Row], hard_labels_variant: str = "hard_labels") -> str | None:
    """Return a sentence if the teacher does not beat the student that learnt from hard labels alone, else None.

    Compared is exact match, the student's as the mean over its seeds. None also where there is no such variant, or no
    teacher.
    """
    teacher = next((row for row in rows if row.model == TEACHER), None)
    seeds = [row for row in rows if row.model != TEACHER and row.variant == hard_labels_variant and not row.sums_up]
    if teacher is None or not seeds:
        return None
    taught = teacher.metrics["exact_match"]
    untaught = fmean(row.metrics["exact_match"] for row in seeds)
    if taught > untaught:
        return None
    of_seeds = f" (mean of {len(seeds)} seeds)" if len(seeds) > 1 else ""
    return (
        f"The teacher does not beat the student trained on hard labels alone ({hard_labels_variant}) in exact match: "
        f"{taught:.1%} against {untaught:.1%}{of_seeds}, a difference of {100 * (taught - untaught):.1f} percentage "
        "points. Gains from distillation have to be read with this in mind."
    )


def write_leaderboard(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV, figures in full precision, empty where there is none."""
    columns = ["model", "variant", "seed", "parameters", "n", *METRIC_NAMES]
    columns += ["exact_match_low", "exact_match_high", "output_agreement"]
    columns += ["kl_divergence", "kl_divergence_is", "note"]
    with written_whole(path) as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row.metrics.get(name) if name in METRIC_NAMES else getattr(row, name) for name in columns)
