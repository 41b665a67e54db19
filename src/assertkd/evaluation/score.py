"""The rule `score`: metrics of one model's predictions, alone and, for a student, against its teacher's."""

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assertkd.errors import UserError
from assertkd.evaluation.example_scores import Answered, ExampleScores, score_examples
from assertkd.evaluation.execution.predicted import read_executions
from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.retention import compare_with_teacher
from assertkd.evaluation.shuffled import SHUFFLED, shuffled_code_quality
from assertkd.evaluation.summary import summarise, summarise_executions
from assertkd.files import csv_cell, read_json, write_json, written_whole
from assertkd.jsonl import as_line, read_lines
from assertkd.layout import TEACHER, EvaluationLayout
from assertkd.metrics.registry import METRICS
from assertkd.models.encoders import TextEncoder
from assertkd.predictions import Prediction, read_predictions
from assertkd.runtime.progress import log_closing

DIVERGENCE = ("kl_divergence", "kl_divergence_is", "eval_temperature")
"""What `predict` measures of a student that is no cost."""

CLOSING_METRICS = (
    *("exact_match", "f1", "codebleu", "ast_validity", "semantic_similarity", "code_quality_score"),
    *("passes", "kills"),
)
"""Metrics in the last line of the log, where they were computed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scored:
    """One line of a `predictions_final.jsonl`: texts, and every metric's value by name."""

    prediction: str
    reference: str
    values: dict[str, float]


def score(
    params: ScoreParams,
    predictions_file: Path,
    teacher_folder: Path | None,
    folder: Path,
    execution_file: Path | None = None,
    processes: int = 1,
    alone_as: str = TEACHER,
) -> dict[str, Any]:
    """Score a model's predictions, write the results to `folder` and return the summary.

    Written are `predictions_final.jsonl` (one line an example: texts, what sort of example it is, every metric),
    `metrics_final.csv` (the metrics alone), `metrics_summary_final.json`, and `evaluation_metrics.json` (a student
    beside its teacher; without one, the model alone).

    Args:
        params: encoder, time limit and bootstrap.
        predictions_file: the model's predictions; the costs that `predict` measured are read from its folder.
        teacher_folder: what `predict` and this function wrote for the teacher on the same examples; None where there
            is none, or the model is the teacher.
        folder: made if it is missing.
        execution_file: what `execute` wrote, for `compiles`, `passes`, `kills` and `gold_kills`; these are absent
            where it is empty, and with None.
        processes: that compute.
        alone_as: the model's key in `evaluation_metrics.json` where there is no teacher beside it.

    Raises:
        UserError: a file is missing, empty or broken, or the teacher's examples or metrics are others.
    """
    output, seconds = EvaluationLayout(folder), params.example_seconds
    bootstrap = params.bootstrap_resamples, params.bootstrap_seed
    teacher_output = None if teacher_folder is None else EvaluationLayout(teacher_folder)
    teacher: dict[str, Scored] = {}
    if teacher_output is not None:
        teacher = read_scored(teacher_output.examples)
        check_same_examples(read_predictions(predictions_file), teacher, teacher_output.examples)
    answers = (
        Answered(one, teacher[one.id].prediction if teacher else None) for one in read_predictions(predictions_file)
    )
    encoder = None if params.encoder is None else TextEncoder(params.encoder)
    ids, scores = write_scores(output, score_examples(answers, encoder, processes=processes, example_seconds=seconds))
    values = {name: np.array([one.values[name] for one in scores]) for name in scores[0].values}
    if late := [name for name, one in zip(ids, scores, strict=True) if one.timed_out]:
        log.warning("%s took more than %g s; what was not computed counts 0", count_of(late), seconds)
    measured = _measured(EvaluationLayout(predictions_file.parent))
    summary = summarise(scores, values, *bootstrap)
    if execution_file is not None:
        summary["metrics"] |= summarise_executions(read_executions(execution_file), *bootstrap)
    if encoder is not None and len(scores) > 1:
        summary[SHUFFLED] = shuffled_code_quality(
            read_predictions(predictions_file),
            len(scores),
            encoder,
            params.bootstrap_seed,
            processes=processes,
            example_seconds=seconds,
        )
    summary |= {name: measured.pop(name) for name in DIVERGENCE if name in measured}
    write_json(output.summary, summary)
    means = {name: summary["metrics"][name]["mean"] for name in CLOSING_METRICS if name in summary["metrics"]}
    log_closing(f"{len(scores)} predictions scored", means)
    if teacher_output is None:
        write_json(output.comparison, {alone_as: summary, "cost": {alone_as: measured}})
        return summary
    teacher_values = [teacher[id_].values for id_ in ids]
    if list(teacher_values[0]) != list(values):
        raise UserError(
            f"{teacher_output.examples}: has other metrics than {output.examples}", "Rerun `score` for the teacher."
        )
    columns = {name: np.array([one[name] for one in teacher_values]) for name in values}
    agreement = np.array([one.agreement for one in scores], dtype=np.float64)
    comparison = {
        "teacher": read_json(teacher_output.summary),
        "student": summary,
        **compare_with_teacher(values, columns, agreement, *bootstrap),
        "cost": {"teacher": _measured(teacher_output), "student": measured},
    }
    write_json(output.comparison, comparison)
    return summary


def write_scores(
    layout: EvaluationLayout, scored: Iterable[tuple[Answered, ExampleScores]]
) -> tuple[list[str], list[ExampleScores]]:
    """Write every example as it comes, as JSONL and as a row of the table of metrics; return ids and scores."""
    ids: list[str] = []
    scores: list[ExampleScores] = []
    with ExitStack() as files:
        lines = files.enter_context(written_whole(layout.examples))
        table: csv.DictWriter[str] | None = None
        for answer, one in scored:
            if table is None:
                table = csv.DictWriter(files.enter_context(written_whole(layout.table)), ["id", *one.values])
                table.writeheader()
            lines.write(as_line(example_line(answer, one)))
            table.writerow({"id": csv_cell(answer.own.id)} | one.values)
            ids.append(answer.own.id)
            scores.append(one)
    return ids, scores


def example_line(answer: Answered, scores: ExampleScores) -> dict[str, Any]:
    """Return an example as one flat JSON object: texts, what sort of example it is, and all scores."""
    own = answer.own
    line: dict[str, Any] = {
        "id": own.id,
        "prediction": own.prediction,
        "reference": own.reference,
        "teacher_prediction": answer.teacher,
        "kind": scores.kind,
        "project": None,
        "target_tokens": scores.target_tokens,
        **own.about,
        **scores.values,
        "codebleu_parts": asdict(scores.parts),
        "timed_out": scores.timed_out,
    }
    if scores.agreement is not None:
        line["output_agreement"], line["exact_agreement"] = scores.agreement
    return line


def read_scored(path: Path) -> dict[str, Scored]:
    """Return the lines of a `predictions_final.jsonl` by example id.

    Raises:
        UserError: the file is missing or empty, or a line is no scored prediction.
    """

    def scored_of(line: dict[str, Any]) -> tuple[str, Scored]:
        values = {name: float(line[name]) for name in METRICS if name in line}
        return line["id"], Scored(line["prediction"], line["reference"], values)

    examples = dict(read_lines(path, scored_of, what="a scored prediction", rule="score"))
    if not examples:
        raise UserError(f"{path}: holds no predictions", "Move it away and rerun `predict` and `score`.")
    return examples


def check_same_examples(predictions: Iterable[Prediction], teacher: Mapping[str, Scored], teacher_file: Path) -> None:
    """Refuse predictions that are not on the teacher's examples.

    Raises:
        UserError: ids or references of the two differ.
    """
    remedy = "Both have to come from the same test split: rerun `predict` and `score` for the teacher and the student."
    references = {one.id: one.reference for one in predictions}
    if missing := [name for name in references if name not in teacher]:
        raise UserError(f"{teacher_file}: lacks {count_of(missing)} that the student predicted", remedy)
    if surplus := [name for name in teacher if name not in references]:
        raise UserError(f"{teacher_file}: holds {count_of(surplus)} that the student did not predict", remedy)
    if changed := [name for name, reference in references.items() if reference != teacher[name].reference]:
        raise UserError(f"{teacher_file}: has another reference for {count_of(changed)}", remedy)


def count_of(ids: Sequence[str]) -> str:
    """Return how many ids there are, and the first of them."""
    return f"{len(ids)} example{'s' if len(ids) > 1 else ''} (first {ids[0]!r})"


def _measured(layout: EvaluationLayout) -> dict[str, Any]:
    """Return what `predict` measured of a model; nothing where it did not."""
    return dict(read_json(layout.measured)) if layout.measured.exists() else {}
