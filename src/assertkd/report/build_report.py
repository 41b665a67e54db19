"""The rules `build_report` and `report_so_far`: leaderboard, comparison, figures and page from the run's results."""

import logging
from collections.abc import Sequence
from pathlib import Path

from assertkd.errors import UserError
from assertkd.evaluation.comparison import Comparison, compare_models
from assertkd.files import read_json, write_json
from assertkd.layout import ReportLayout, RunLayout
from assertkd.report.contents import ReportInputs, contents_of
from assertkd.report.figures.figure import write_figures
from assertkd.report.leaderboard import leaderboard, write_leaderboard
from assertkd.report.page import write_page
from assertkd.report.params import ComparisonParams
from assertkd.report.results import Model
from assertkd.settings import ReportSettings

log = logging.getLogger(__name__)


def build_report(
    settings: ReportSettings,
    compared: ComparisonParams,
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
        models: the models to report, all of one run; they are trained and evaluated.
        folder: where the files go.
        fidelity: `fidelity.json` of the logit cache; None leaves its section out.
        missing: models of the run that are not trained and evaluated yet; the page names them.
        unlabelled: `unlabelled_quality.json` of the corpus; None where the run has no such records.

    Raises:
        UserError: a stage's result is missing or broken.
    """
    run, output = RunLayout((*models, *missing)[0].run_folder), ReportLayout(folder)
    rows = leaderboard(models, compared.baseline)
    for row in rows:
        if row.note:
            log.warning("%s", row.note)
    comparison = _compared(models, compared)
    inputs = ReportInputs(
        models=models,
        missing=missing,
        rows=rows,
        comparison=comparison,
        quality=read_json(run.corpus.quality),
        unlabelled={} if unlabelled is None else read_json(unlabelled),
        test_file=run.corpus.test,
        fidelity=None if fidelity is None else read_json(fidelity),
    )
    contents = contents_of(settings, inputs)
    if comparison is not None:
        write_json(output.significance, comparison.as_dict())
    write_leaderboard(output.leaderboard, rows)
    write_figures(output.figures, contents.figures)
    write_page(output.page, contents.sections, contents.context)


def report_so_far(
    settings: ReportSettings,
    compared: ComparisonParams,
    models: Sequence[Model],
    folder: Path,
    fidelity: Path | None = None,
    unlabelled: Path | None = None,
) -> None:
    """Write the report of those models that are trained and evaluated by now; the page names the others.

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
    quality = RunLayout(models[0].run_folder).corpus.quality
    if not quality.is_file():
        raise UserError(f"{quality}: no such file", "The run has no corpus yet: start it, then ask again.")
    done = [model for model in models if model.is_done]
    missing = [model for model in models if not model.is_done]
    log.info("%d of %d models are trained and evaluated", len(done), len(models))
    fidelity, unlabelled = (file if file is not None and file.is_file() else None for file in (fidelity, unlabelled))
    build_report(settings, compared, done, folder, fidelity, missing, unlabelled)


def _compared(models: Sequence[Model], compared: ComparisonParams) -> Comparison | None:
    if not models:
        return None
    names, folder = [model.name for model in models], models[0].run_folder / "evaluation"
    return compare_models(names, folder, compared.baseline, compared.resamples, compared.seed)
