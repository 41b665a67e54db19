"""Scores of one model's predictions, alone and, for a student, against its teacher's."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assertkd.errors import UserError
from assertkd.evaluation.metrics import EXAMPLE_METRICS
from assertkd.evaluation.metrics.bleu import corpus_bleu
from assertkd.evaluation.metrics.semantic_similarity import semantic_similarity
from assertkd.evaluation.predictions import Prediction, read_predictions
from assertkd.evaluation.retention import compare_with_teacher
from assertkd.evaluation.significance import LEVEL, bootstrap_intervals
from assertkd.files import read_json, write_json, written_whole

if TYPE_CHECKING:
    from assertkd.models.encoders import TextEncoder

Values = Mapping[str, NDArray[np.float64]]
"""Per metric the value of every example, shape (n,)."""


def score(
    predictions_file: Path,
    teacher_predictions_file: Path | None,
    output_folder: Path,
    *,
    measured_file: Path | None = None,
    encoder: "TextEncoder | None" = None,
    resamples: int = 10_000,
    seed: int = 42,
) -> dict[str, Any]:
    """Score a model's predictions, write the results to `output_folder` and return the summary.

    Written are `predictions_final.jsonl` (one line an example: texts and every metric), `metrics_final.csv` (the
    metrics alone), `metrics_summary_final.json`, and `evaluation_metrics.json` (a student beside its teacher; for the
    teacher, the teacher alone).

    Args:
        predictions_file: the model's predictions.
        teacher_predictions_file: the teacher's on the same examples; None where the model is the teacher.
        output_folder: made if it is missing.
        measured_file: what `predict` measured beside (size, speed, divergence), taken over into
            `evaluation_metrics.json`; None for nothing.
        encoder: embeds the texts for `semantic_similarity`; None leaves that metric out.
        resamples: bootstrap resamples behind every interval.
        seed: of the bootstrap.

    Raises:
        UserError: a file is missing, empty or broken, or the two files do not hold the same examples.
    """
    predictions = read_predictions(predictions_file)
    values = metric_values(predictions, encoder)
    summary = summarise(predictions, values, resamples, seed)

    teacher = None
    comparison: dict[str, Any] = {"teacher": summary}
    if teacher_predictions_file is not None:
        teacher = matched(predictions, read_predictions(teacher_predictions_file), teacher_predictions_file)
        teacher_values = metric_values(teacher, encoder)
        comparison = {
            "teacher": summarise(teacher, teacher_values, resamples, seed),
            "student": summary,
            **compare_with_teacher(
                [one.prediction for one in predictions],
                [one.prediction for one in teacher],
                values,
                teacher_values,
                resamples,
                seed,
            ),
        }
    if measured_file is not None:
        comparison["measured"] = read_json(measured_file)
    write_json(output_folder / "evaluation_metrics.json", comparison)
    write_examples(output_folder / "predictions_final.jsonl", predictions, teacher, values)
    write_table(output_folder / "metrics_final.csv", predictions, values)
    write_json(output_folder / "metrics_summary_final.json", summary)
    return summary


def metric_values(
    predictions: Sequence[Prediction], encoder: "TextEncoder | None" = None
) -> dict[str, NDArray[np.float64]]:
    """Return every registered metric's value for every example, in [0, 1]; with an encoder, semantic similarity too."""
    values = {
        name: np.array([metric(one.prediction, one.reference) for one in predictions])
        for name, metric in EXAMPLE_METRICS.items()
    }
    if encoder is not None:
        texts, references = [one.prediction for one in predictions], [one.reference for one in predictions]
        values["semantic_similarity"] = semantic_similarity(encoder, texts, references)
    return values


def summarise(predictions: Sequence[Prediction], values: Values, resamples: int, seed: int) -> dict[str, Any]:
    """Return the number of examples, per metric its mean with a bootstrap interval, and corpus BLEU.

    Keys: `n`; `metrics`: {name: {mean, low, high}}; `corpus_bleu`: {score, signature}; `bootstrap`: {level,
    resamples, seed}.
    """
    intervals = bootstrap_intervals(np.stack(list(values.values()), axis=1), resamples, seed)
    bleu, signature = corpus_bleu([one.prediction for one in predictions], [one.reference for one in predictions])
    return {
        "n": len(predictions),
        "metrics": {name: interval.as_dict() for name, interval in zip(values, intervals, strict=True)},
        "corpus_bleu": {"score": bleu, "signature": signature},
        "bootstrap": {"level": LEVEL, "resamples": resamples, "seed": seed},
    }


def matched(predictions: Sequence[Prediction], teacher: Sequence[Prediction], teacher_file: Path) -> list[Prediction]:
    """Return the teacher's predictions in the order of the student's.

    Raises:
        UserError: ids or references of the two differ.
    """
    remedy = "Both have to come from the same test split: rerun `predict` for the teacher and the student."
    by_id = {one.id: one for one in teacher}
    missing = [one.id for one in predictions if one.id not in by_id]
    if missing:
        raise UserError(f"{teacher_file}: lacks {count_of(missing)} that the student predicted", remedy)
    surplus = by_id.keys() - {one.id for one in predictions}
    if surplus:
        raise UserError(f"{teacher_file}: holds {count_of(sorted(surplus))} that the student did not predict", remedy)
    changed = [one.id for one in predictions if one.reference != by_id[one.id].reference]
    if changed:
        raise UserError(f"{teacher_file}: has another reference for {count_of(changed)}", remedy)
    return [by_id[one.id] for one in predictions]


def count_of(ids: Sequence[str]) -> str:
    """Return how many ids there are, and the first of them."""
    return f"{len(ids)} example{'s' if len(ids) > 1 else ''} (first {ids[0]!r})"


def rows_of(values: Values) -> Iterable[dict[str, float]]:
    """Yield {metric: value} of every example."""
    for row in zip(*(column.tolist() for column in values.values()), strict=True):
        yield dict(zip(values, row, strict=True))


def write_examples(
    path: Path, predictions: Sequence[Prediction], teacher: Sequence[Prediction] | None, values: Values
) -> None:
    """Write one JSON line an example: id, prediction, reference, teacher_prediction (or null), its sort, metrics."""
    teacher_texts = [one.prediction for one in teacher] if teacher is not None else [None] * len(predictions)
    with written_whole(path) as handle:
        for one, teacher_text, metrics in zip(predictions, teacher_texts, rows_of(values), strict=True):
            texts = {"prediction": one.prediction, "reference": one.reference, "teacher_prediction": teacher_text}
            line = {"id": one.id} | texts | one.about | metrics
            handle.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_table(path: Path, predictions: Sequence[Prediction], values: Values) -> None:
    """Write a CSV with one row an example: id and every metric."""
    with written_whole(path) as handle:
        writer = csv.DictWriter(handle, ["id", *values])
        writer.writeheader()
        writer.writerows({"id": one.id} | metrics for one, metrics in zip(predictions, rows_of(values), strict=True))
