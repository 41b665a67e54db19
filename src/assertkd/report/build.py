"""The report stage: leaderboard and page from what the other stages wrote."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assertkd.evaluation.comparison import compare_models, write_comparison
from assertkd.files import read_json
from assertkd.records import read_records
from assertkd.report.examples import choose_examples
from assertkd.report.fidelity_section import FidelitySection, fidelity_section
from assertkd.report.leaderboard import TEACHER, Entry, leaderboard, write_leaderboard
from assertkd.report.page import write_page
from assertkd.settings import ReportSettings

SHOWN_SETTINGS = (
    "seed",
    "settings",
    "loss",
    "examples",
    "optimizer_steps",
    "seconds",
    "machine",
    "versions",
    "git_commit",
)
"""Keys of `training_report.json` that the page shows for every model."""

log = logging.getLogger(__name__)


def build_report(
    settings: ReportSettings,
    models: Sequence[str],
    trained: Sequence[str],
    run_folder: Path,
    folder: Path,
    fidelity: Sequence[Path] = (),
    *,
    baseline: str | None,
    resamples: int,
    seed: int,
) -> None:
    """Write `leaderboard.csv`, `significance.json` and `report.html` to `folder`.

    Args:
        settings: the page's.
        models: `teacher` and `students/{variant}/seed{seed}`, as their folders below the run's.
        trained: those of them that this run trained; a teacher whose logits were given is not among them.
        run_folder: `results/{run}`.
        folder: where the files go.
        fidelity: `fidelity.json` and `fidelity.svg` of the logit cache; none leaves its section out.
        baseline: the variant that all others are compared with.
        resamples: bootstrap resamples of the comparison.
        seed: of the bootstrap.

    Raises:
        UserError: a stage's result is missing or broken.
    """
    reports = {model: run_folder / model / "training_report.json" for model in trained}
    entries = {model: _entry(model, run_folder, reports.get(model)) for model in models}
    rows = leaderboard(list(entries.values()))
    for row in rows:
        if row.note:
            log.warning("%s", row.note)
    several_seeds = len({entry.seed for entry in entries.values()}) > 2
    predictions = {
        _label(entry, several_seeds): run_folder / "evaluation" / model / "predictions_final.jsonl"
        for model, entry in entries.items()
    }
    comparison = compare_models(models, run_folder / "evaluation", baseline, resamples, seed)
    write_comparison(folder / "significance.json", comparison)
    write_leaderboard(folder / "leaderboard.csv", rows)
    write_page(
        folder / "report.html",
        title=settings.title,
        rows=rows,
        quality=read_json(run_folder / "corpus" / "quality.json"),
        examples=choose_examples(read_records(run_folder / "corpus" / "test.jsonl"), predictions, settings.examples),
        settings={model: _settings(report) for model, report in reports.items()},
        fidelity=_fidelity(fidelity),
    )


def _entry(model: str, run_folder: Path, report: Path | None) -> Entry:
    parts = model.split("/")
    summary = run_folder / "evaluation" / model / "metrics_summary_final.json"
    if model == TEACHER:
        return Entry(TEACHER, "", None, summary, report)
    return Entry("student", parts[1], int(parts[2].removeprefix("seed")), summary, report)


def _fidelity(files: Sequence[Path]) -> FidelitySection | None:
    if not files:
        return None
    report, picture = files
    return fidelity_section(read_json(report), picture.read_text(encoding="utf-8"))


def _label(entry: Entry, several_seeds: bool) -> str:
    if entry.model == TEACHER:
        return TEACHER
    return f"{entry.variant}, seed {entry.seed}" if several_seeds else entry.variant


def _settings(path: Path) -> dict[str, Any]:
    report = read_json(path)
    return {key: report[key] for key in SHOWN_SETTINGS}
