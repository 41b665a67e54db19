"""Contents of the page: its sections, the values for its templates, and its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.evaluation.comparison import Comparison
from assertkd.records import read_records
from assertkd.report.conclusions import conclusions
from assertkd.report.corpus_tables import corpus_tables
from assertkd.report.examples import example_data, packed
from assertkd.report.fidelity_section import fidelity_section
from assertkd.report.figures.figure import Figure
from assertkd.report.figures.quality import differences, quality_against_cost, retention
from assertkd.report.figures.training import component_figures, learning_figure
from assertkd.report.leaderboard import Row, variant_rows
from assertkd.report.leaderboard_table import leaderboard_table
from assertkd.report.loss_scaling import analyse_scaling
from assertkd.report.provenance import settings_of, trainings
from assertkd.report.results import Model, labels_of, state_of
from assertkd.report.slices import FEW, slicings
from assertkd.report.training_curves import component_curves, learning_curves
from assertkd.settings import ReportSettings


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """All results of a run that the report shows.

    Attributes:
        models: trained and evaluated.
        missing: the run's other models.
        rows: the leaderboard of `models`.
        comparison: every variant against the baseline; None where no model is evaluated.
        quality: `quality.json` of the corpus.
        unlabelled: `unlabelled_quality.json`; empty without such records.
        test_file: the test split.
        fidelity: `fidelity.json` of the logit cache, or None.
    """

    models: Sequence[Model]
    missing: Sequence[Model]
    rows: Sequence[Row]
    comparison: Comparison | None
    quality: Mapping[str, Any]
    unlabelled: Mapping[str, Any]
    test_file: Path
    fidelity: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of the page.

    Attributes:
        sections: ids of `page.SECTIONS` with something to show.
        context: values for the templates.
        figures: every figure of the page.
    """

    sections: list[str]
    context: dict[str, Any]
    figures: list[Figure]


def contents_of(settings: ReportSettings, inputs: ReportInputs) -> Contents:
    """Return what the page shows of a run.

    Raises:
        UserError: a stage's result is missing or broken.
    """
    labels = labels_of([*inputs.models, *inputs.missing])
    one_each = variant_rows(inputs.rows)
    # Colours follow the order of the config, so that a variant keeps its colour when others join or change places.
    order = list(dict.fromkeys(model.variant for model in (*inputs.models, *inputs.missing)))
    ranked = _ranked(inputs)
    difference_figure = differences(inputs.comparison)
    cost = quality_against_cost(one_each, order)
    training = _training_figures([*inputs.models, *inputs.missing], labels, one_each, order)
    fidelity = None if inputs.fidelity is None else fidelity_section(inputs.fidelity)
    columns = [row.name for row in one_each]
    parts = slicings(inputs.models, columns)
    examples = (
        example_data(read_records(inputs.test_file), ranked, labels, settings.examples) if settings.examples else {}
    )
    context = {
        "title": settings.title,
        "lead": _lead(inputs),
        "notes": [row.note for row in inputs.rows if row.note],
        "missing": [(labels[model.name], state_of(model)) for model in inputs.missing],
        "conclusions": conclusions(inputs.rows, inputs.comparison),
        "leaderboard": leaderboard_table(inputs.rows, inputs.comparison),
        "differences": difference_figure,
        "cost": cost,
        "warnings": _warnings(inputs.models, labels),
        "training_figures": training,
        "fidelity": fidelity,
        "example_data": packed(examples),
        "slicings": parts,
        "slice_columns": columns,
        "few": FEW,
        "trainings": trainings(inputs.models, labels),
        "corpus": [
            *corpus_tables(inputs.quality),
            *(replace(table, title=f"unlabelled: {table.title}") for table in corpus_tables(inputs.unlabelled)),
        ],
        "settings": settings_of(inputs.models, labels),
    }
    has = {"cost": cost, "training": training, "cache": fidelity, "examples": examples.get("examples"), "slices": parts}
    shown = ["results", *(name for name, content in has.items() if content), "provenance"]
    figures = [difference_figure, cost, *training, fidelity.figure if fidelity is not None else None]
    return Contents(shown, context, [figure for figure in figures if figure is not None])


def _ranked(inputs: ReportInputs) -> list[Model]:
    """Return the models in the order of the leaderboard."""
    places = {(row.name, row.seed): place for place, row in enumerate(inputs.rows)}
    return sorted(inputs.models, key=lambda model: places[model.variant, "" if model.seed is None else str(model.seed)])


def _lead(inputs: ReportInputs) -> str:
    name = (*inputs.models, *inputs.missing)[0].run_folder.name
    students = sum(not model.is_teacher for model in inputs.models)
    counted = f"{students} student{'' if students == 1 else 's'}"
    examples = f" on {inputs.rows[0].n:,} test examples" if inputs.rows else ""
    return f"Run {name}: {counted}{examples} that no training and no choice has seen." if examples else f"Run {name}."


def _training_figures(
    models: Sequence[Model], labels: Mapping[str, str], rows: Sequence[Row], order: Sequence[str]
) -> list[Figure]:
    figures = [
        learning_figure(learning_curves(models, labels), order),
        *component_figures(component_curves(models, labels)),
        retention(rows, order),
    ]
    return [figure for figure in figures if figure is not None]


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
