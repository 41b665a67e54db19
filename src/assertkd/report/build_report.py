"""The rules `build_report` and `report_so_far`: leaderboard, comparison, figures and page from the run's results."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.evaluation.comparison import compare_models
from assertkd.files import read_json, write_json
from assertkd.layout import ReportLayout, RunLayout
from assertkd.logits.fidelity.temperature import temperature_warning
from assertkd.report.conclusions import conclusions
from assertkd.report.corpus_tables import corpus_tables
from assertkd.report.examples import example_data
from assertkd.report.figures.fidelity import fidelity_table, rate_distortion
from assertkd.report.figures.figure import write_figures
from assertkd.report.figures.quality import differences, quality_against_cost, retention
from assertkd.report.figures.training import component_figures, learning_figure
from assertkd.report.leaderboard import Row, leaderboard, optimizer_steps, variant_rows, write_leaderboard
from assertkd.report.leaderboard_table import leaderboard_table
from assertkd.report.loss_scaling import analyse_scaling
from assertkd.report.page import SECTIONS, write_page
from assertkd.report.params import ComparisonParams
from assertkd.report.provenance import settings_of, trainings, without_places
from assertkd.report.results import Model, labels_of, state_of
from assertkd.report.slices import FEW, slicings
from assertkd.settings import ReportSettings

log = logging.getLogger(__name__)


def build_report(
    settings: ReportSettings,
    compared: ComparisonParams,
    models: Sequence[Model],
    folder: Path,
    fidelity: Path | None = None,
    missing: Sequence[Model] = (),
    counts: Sequence[Path] = (),
) -> None:
    """Write `leaderboard.csv`, `significance.json`, `figures/` and `report.html` to `folder`.

    Args:
        settings: the page's.
        compared: how variants are compared.
        models: the models to report, all of one run; they are trained and evaluated.
        folder: where the files go.
        fidelity: `fidelity.json` of the logit cache; None leaves its section out.
        missing: models of the run that are not trained and evaluated yet; the page names them.
        counts: files of further counts of records: unlabelled ones, those of a pre-training.

    Raises:
        UserError: a stage's result is missing or broken.
    """
    every = [*models, *missing]
    run, output = RunLayout(every[0].run_folder), ReportLayout(folder)
    rows = leaderboard(models, compared.baseline)
    notes = [row.note for row in rows if row.note]
    for note in notes:
        log.warning("%s", note)
    quality = read_json(run.corpus.quality)
    further_counts = {file.stem.removesuffix("_quality"): read_json(file) for file in counts}
    for one in further_counts.values():
        # Of each project, which may be thousands.
        one.pop("projects", None)
    # A corpus of an earlier version has none.
    notes += quality.pop("warnings", [])
    notes += execution_notes(run.gold_summary)
    if not settings.machine:
        notes, quality, further_counts = map(without_places, (notes, quality, further_counts))
    comparison = None
    if models:
        names, scores = [model.name for model in models], run.folder / "evaluation"
        sampling, steps = (compared.resamples, compared.seed), optimizer_steps(rows)
        comparison = compare_models(names, scores, compared.baseline, *sampling, optimizer_steps=steps)
    labels = labels_of(every)
    one_each = variant_rows(rows)
    # Colours follow the order of the config, so that a variant keeps its colour when others join or change places.
    order = list(dict.fromkeys(model.variant for model in every))
    cache = None if fidelity is None else read_json(fidelity)
    examples = {}
    if settings.examples:
        examples = example_data(run.corpus.test, _ranked(models, rows), labels, settings.examples)
    learning = [learning_figure(every, labels, order), *component_figures(every, labels), retention(one_each, order)]
    context: dict[str, Any] = {
        "title": settings.title,
        "lead": _lead(run, models, rows),
        "notes": [settings.note, *notes] if settings.note else notes,
        "missing": [(labels[model.name], state_of(model)) for model in missing],
        "conclusions": conclusions(rows, comparison),
        "leaderboard": leaderboard_table(rows, comparison),
        "differences": differences(comparison),
        "cost": quality_against_cost(one_each, order),
        "warnings": [*_cache_warnings(cache, models), *_warnings(models, labels)],
        "training": [figure for figure in learning if figure is not None],
        "cache": cache,
        "rate_distortion": cache and rate_distortion(cache),
        "codecs": cache and fidelity_table(cache),
        "examples": examples,
        "slices": slicings(models, [row.name for row in one_each]),
        "slice_columns": [row.name for row in one_each],
        "few": FEW,
        "trainings": trainings(models, labels),
        "corpus": [
            *corpus_tables(quality),
            *(
                replace(table, title=f"{title}: {table.title}")
                for title, one in further_counts.items()
                for table in corpus_tables(one)
            ),
        ],
        "settings": settings_of(models, labels, settings.machine),
    }
    has = context | {"results": True, "examples": examples.get("examples"), "provenance": True}
    figures = [context["differences"], context["cost"], *context["training"], context["rate_distortion"]]
    if comparison is not None:
        write_json(output.significance, comparison.as_dict())
    write_leaderboard(output.leaderboard, rows)
    write_figures(output.figures, [figure for figure in figures if figure is not None])
    write_page(output.page, [name for name in SECTIONS if has[name]], context)


def report_so_far(
    settings: ReportSettings,
    compared: ComparisonParams,
    models: Sequence[Model],
    folder: Path,
    fidelity: Path | None = None,
    counts: Sequence[Path] = (),
) -> None:
    """Write the report of those models that are trained and evaluated by now; the page names the others.

    Args are those of `build_report`, with every model of the run, and files that need not be there yet.

    Raises:
        UserError: there is no corpus yet, or a stage's result is broken.
    """
    quality = RunLayout(models[0].run_folder).corpus.quality
    if not quality.is_file():
        raise UserError(f"{quality}: no such file", "The run has no corpus yet: start it, then ask again.")
    done = [model for model in models if model.is_done]
    missing = [model for model in models if not model.is_done]
    log.info("%d of %d models are trained and evaluated", len(done), len(models))
    fidelity = fidelity if fidelity is not None and fidelity.is_file() else None
    counts = [file for file in counts if file.is_file()]
    build_report(settings, compared, done, folder, fidelity, missing, counts)


def _ranked(models: Sequence[Model], rows: Sequence[Row]) -> list[Model]:
    """Return the models in the order of the leaderboard."""
    places = [(row.name, row.seed) for row in rows]
    return sorted(
        models, key=lambda model: places.index((model.variant, "" if model.seed is None else str(model.seed)))
    )


def _lead(run: RunLayout, models: Sequence[Model], rows: Sequence[Row]) -> str:
    if not rows:
        return f"Run {run.folder.name}."
    students = sum(not model.is_teacher and not model.is_external for model in models)
    counted = f"{students} student{'' if students == 1 else 's'} on {rows[0].n:,} test examples"
    return f"Run {run.folder.name}: {counted} that no training and no choice has seen."


def execution_notes(gold_summary: Path) -> list[str]:
    """Return what a reader has to know of how predictions were run: not at all, and why, or unconfined."""
    summary = read_json(gold_summary) if gold_summary.is_file() else {}
    if summary.get("absent"):
        return [f"No prediction was compiled and run: {summary['absent']}."]
    if summary.get("isolation") == "none":
        return ["Predictions were run unconfined, with all rights of the user (evaluation.execute.unconfined)."]
    return []


def _cache_warnings(cache: Mapping[str, Any] | None, models: Sequence[Model]) -> Iterator[str]:
    """Yield once for each variant where the logit cache is not faithful at its temperature."""
    temperatures = {model.variant: model.training_report().get("loss", {}).get("temperature") for model in models}
    for variant, temperature in temperatures.items():
        warning = None if cache is None or temperature is None else temperature_warning(cache, temperature)
        if warning is not None:
            yield f"{variant}: {warning}"


def _warnings(models: Sequence[Model], labels: Mapping[str, str]) -> list[str]:
    """Return what the gradient norms of students with several components warn of."""
    warnings = []
    for model in models:
        if model.is_teacher or not model.is_trained:
            continue
        try:
            scaling = analyse_scaling(model.training.folder)
        except UserError:
            continue  # No gradient norms were logged.
        if len(scaling.components) > 1:
            warnings += [f"{labels[model.name]}: {warning}" for warning in scaling.warnings()]
    return warnings
