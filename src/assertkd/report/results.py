"""The models of a run and what its stages have written about each so far."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import NoneType
from typing import Any

import pandas as pd

from assertkd.errors import UserError
from assertkd.files import read_json
from assertkd.jsonl import LineError, read_lines
from assertkd.layout import TEACHER, EvaluationLayout, RunLayout, TrainingLayout, is_external, variant_and_seed
from assertkd.models.loading import first_line

SCORED: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "prediction": (str,),
    "exact_match": (float, int),
    "kind": (str,),
    "project": (str, NoneType),
    "target_tokens": (int,),
}
"""Fields of a scored prediction that the report reads, and their types."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a run and where its files lie.

    Attributes:
        name: `teacher`, `students/{variant}/seed{seed}` or `external/{system}`: its folder below the run's.
        run_folder: `results/{run}`.
        is_trained: whether this run trained it; not so for an external teacher and for other systems.
    """

    name: str
    run_folder: Path
    is_trained: bool = True

    @property
    def is_teacher(self) -> bool:
        """Whether it is the teacher."""
        return self.name == TEACHER

    @property
    def is_external(self) -> bool:
        """Whether it is another system, of which the run has the predictions alone."""
        return is_external(self.name)

    @property
    def variant(self) -> str:
        """Name of the student's variant, or of the other system; `teacher` for the teacher."""
        return variant_and_seed(self.name)[0]

    @property
    def seed(self) -> int | None:
        """The student's training seed; None for others."""
        return variant_and_seed(self.name)[1]

    @property
    def training(self) -> TrainingLayout:
        """Files of its training."""
        return RunLayout(self.run_folder).model(self.name)

    @property
    def evaluation(self) -> EvaluationLayout:
        """Files of its evaluation."""
        return RunLayout(self.run_folder).evaluation(self.name)

    @property
    def is_done(self) -> bool:
        """Whether it is trained and evaluated: every file that the report reads is there."""
        files = [self.evaluation.summary, self.evaluation.comparison, self.evaluation.examples]
        if self.is_trained:
            files.append(self.training.report)
        return all(file.is_file() for file in files)

    def training_report(self) -> dict[str, Any]:
        """Return settings, versions, hashes and timings of its training; empty where this run did not train it."""
        return dict(read_json(self.training.report)) if self.is_trained else {}

    def steps(self) -> pd.DataFrame:
        """Return the rows of `step_metrics.csv` so far; none where there is no such file."""
        return read_log(self.training.steps, self._growing.steps)

    def epochs(self) -> pd.DataFrame:
        """Return the rows of `training_metrics.csv` so far; none where there is no such file."""
        return read_log(self.training.epochs, self._growing.epochs)

    @property
    def _growing(self) -> TrainingLayout:
        """Where the logs of a training lie until it is done."""
        return TrainingLayout(self.training.checkpoints / "logs")

    def predictions(self) -> Iterator[dict[str, Any]]:
        """Yield the fields `SCORED` of each scored prediction.

        Raises:
            UserError: the file is missing, or a line is no scored prediction.
        """
        return read_lines(self.evaluation.examples, _scored, what="a scored prediction", rule="score")


def _scored(line: dict[str, Any]) -> dict[str, Any]:
    for name, types in SCORED.items():
        if not isinstance(line[name], types):
            raise LineError(f"{name} is not what `score` writes: {line[name]!r}")
    if not 0 <= line["exact_match"] <= 1:
        raise LineError(f"exact_match is not in [0, 1]: {line['exact_match']!r}")
    return {name: line[name] for name in SCORED}


def read_log(*places: Path) -> pd.DataFrame:
    """Return the complete rows of the first table that exists; none where no table exists.

    Raises:
        UserError: the file is no table, or holds a text where a number is needed.
    """
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return pd.DataFrame()
    try:
        # A last row that is being written has no line end.
        complete = path.read_text(encoding="utf-8").rpartition("\n")[0]
        table = pd.read_csv(StringIO(complete)) if complete else pd.DataFrame()
        for column in table.columns.drop("timestamp", errors="ignore"):
            pd.to_numeric(table[column])
    except (ValueError, TypeError) as fault:
        raise UserError(
            f"{path}: damaged, no table can be read from it ({first_line(fault)})",
            "Restore it from a copy; the report cannot be written without it.",
        ) from None
    return table


def models_of(names: Sequence[str], trained: Sequence[str], run_folder: Path) -> list[Model]:
    """Return the models of a run by their names, those of `trained` marked as such."""
    return [Model(name, run_folder, name in trained) for name in names]


def labels_of(models: Sequence[Model]) -> dict[str, str]:
    """Return each model's name to its label in the report: the variant, with the seed where there are several."""
    seeds = Counter(model.variant for model in models)
    return {
        model.name: model.variant if seeds[model.variant] == 1 else f"{model.variant}, seed {model.seed}"
        for model in models
    }


def state_of(model: Model) -> str:
    """Return the state of a model that is not done, in words."""
    if model.is_external:
        return "not yet evaluated"
    if not model.is_trained or model.training.report.is_file():
        return "trained, not yet evaluated"
    steps = model.steps()
    if steps.empty:
        return "not started"
    return f"in training: epoch {steps['epoch'].iloc[-1]}, step {steps['step'].iloc[-1] + 1:,}"
