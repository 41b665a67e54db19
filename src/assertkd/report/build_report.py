"""The report stage: leaderboard, comparison, figures and page from what the other stages wrote."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.comparison import Comparison, compare_models, write_comparison
from assertkd.files import read_json
from assertkd.report.contents import Run, contents_of
from assertkd.report.figures.figure import write_figures
from assertkd.report.leaderboard import leaderboard, write_leaderboard
from assertkd.report.page import write_page
from assertkd.report.results import Model
from assertkd.settings import ReportSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """How variants are compared.

    Attributes:
        baseline: the variant that all others are compared with; None compares none.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    baseline: str | None
    resamples: int
    seed: int


def build_report(
    settings: ReportSettings,
    compared: ComparisonSettings,
    models: Sequence[Model],
    folder: Path,
    fidelity: Path | None = None,
    missing: Sequence[Model] = (),
    unlabelled: Path | None = None,
) -> None:
    """Write `leaderboard.csv`, `significance.json`, `figures/` and `report.html` to `folder`.

    Args:
        settings: the page's.
        compared: how variants are compared.
        models: the models to report, all of one run; they are trained and judged.
        folder: where the files go.
        fidelity: `fidelity.json` of the logit cache; None leaves its section out.
        missing: models of the run that are not trained and judged yet; the page names them.
        unlabelled: `unlabelled_quality.json` of the corpus; None where the run has no such records.

    Raises:
        UserError: a stage's result is missing or broken.
    """
    run_folder = (*models, *missing)[0].run_folder
    rows = leaderboard(models, compared.baseline)
    for row in rows:
        if row.note:
            log.warning("%s", row.note)
    comparison = _compared(models, run_folder, compared)
    run = Run(
        models=models,
        missing=missing,
        rows=rows,
        comparison=comparison,
        quality=read_json(run_folder / "corpus" / "quality.json"),
        unlabelled={} if unlabelled is None else read_json(unlabelled),
        test_file=run_folder / "corpus" / "test.jsonl",
        fidelity=None if fidelity is None else read_json(fidelity),
    )
    contents = contents_of(settings, run)
    if comparison is not None:
        write_comparison(folder / "significance.json", comparison)
    write_leaderboard(folder / "leaderboard.csv", rows)
    write_figures(folder / "figures", contents.figures)
    write_page(folder / "report.html", contents.sections, contents.context)


def report_so_far(
    settings: ReportSettings,
    compared: ComparisonSettings,
    models: Sequence[Model],
    folder: Path,
    fidelity: Path | None = None,
    unlabelled: Path | None = None,
) -> None:
    """Write the report of those models that are trained and judged by now; the page names the others.

    Args:
        settings: the page's.
        compared: how variants are compared.
        models: every model of the run.
        folder: where the files go.
        fidelity: where `fidelity.json` of the logit cache will be; None leaves its section out.
        unlabelled: where `unlabelled_quality.json` will be; None where the run has no such records.

    Raises:
        UserError: there is no corpus yet, or a stage's result is broken.
    """
    quality = models[0].run_folder / "corpus" / "quality.json"
    if not quality.is_file():
        raise UserError(f"{quality}: no such file", "The run has no corpus yet: begin it, then ask again.")
    done = [model for model in models if model.is_done]
    missing = [model for model in models if not model.is_done]
    log.info("%d of %d models are trained and judged", len(done), len(models))
    measured, cleaned = (file if file is not None and file.is_file() else None for file in (fidelity, unlabelled))
    build_report(settings, compared, done, folder, measured, missing, cleaned)


def _compared(models: Sequence[Model], run_folder: Path, compared: ComparisonSettings) -> Comparison | None:
    if not models:
        return None
    names = [model.name for model in models]
    return compare_models(names, run_folder / "evaluation", compared.baseline, compared.resamples, compared.seed)
