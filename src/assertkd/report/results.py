"""What a run has written so far about each of its models: the ground of leaderboard, figures and page."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.files import read_json

TEACHER = "teacher"
"""Name of the teacher; every other model is a student."""

GROWING = Path("checkpoints", "logs")
"""Where the logs of a training lie, below its folder, until it is done."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a run and where its files lie.

    Attributes:
        name: `teacher` or `students/{variant}/seed{seed}`: its folder below the run's.
        run_folder: `results/{run}`.
        is_trained: whether this run trained it; a teacher whose logits were given is not.
    """

    name: str
    run_folder: Path
    is_trained: bool = True

    @property
    def is_teacher(self) -> bool:
        """Whether it is the teacher."""
        return self.name == TEACHER

    @property
    def variant(self) -> str:
        """Name of the student's variant; `teacher` for the teacher."""
        return TEACHER if self.is_teacher else self.name.split("/")[1]

    @property
    def seed(self) -> int | None:
        """The student's training seed; None for the teacher."""
        return None if self.is_teacher else int(self.name.split("/")[2].removeprefix("seed"))

    @property
    def folder(self) -> Path:
        """Where its training wrote."""
        return self.run_folder / self.name

    @property
    def scores(self) -> Path:
        """Where its evaluation wrote."""
        return self.run_folder / "evaluation" / self.name

    @property
    def is_done(self) -> bool:
        """Whether it is trained and judged: every file that the report reads is there."""
        files = [self.scores / name for name in ("metrics_summary_final.json", "evaluation_metrics.json")]
        files.append(self.scores / "predictions_final.jsonl")
        if self.is_trained:
            files.append(self.folder / "training_report.json")
        return all(file.is_file() for file in files)

    def summary(self) -> dict[str, Any]:
        """Return the means of all metrics with their intervals."""
        return dict(read_json(self.scores / "metrics_summary_final.json"))

    def comparison(self) -> dict[str, Any]:
        """Return gaps, agreement and measured cost."""
        return dict(read_json(self.scores / "evaluation_metrics.json"))

    def training_report(self) -> dict[str, Any]:
        """Return settings, versions, hashes and timings of its training; empty where this run did not train it."""
        return dict(read_json(self.folder / "training_report.json")) if self.is_trained else {}

    def steps(self) -> list[dict[str, str]]:
        """Return the rows of `step_metrics.csv` so far; none where there is no such file."""
        return self._rows("step_metrics.csv")

    def epochs(self) -> list[dict[str, str]]:
        """Return the rows of `training_metrics.csv` so far; none where there is no such file."""
        return self._rows("training_metrics.csv")

    def _rows(self, name: str) -> list[dict[str, str]]:
        places = [folder / name for folder in (self.folder, self.folder / GROWING)]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            return []
        with path.open(encoding="utf-8", newline="") as handle:
            # A last row that is being written lacks cells.
            return [row for row in csv.DictReader(handle) if None not in row.values()]

    def predictions(self) -> Iterator[dict[str, Any]]:
        """Yield the scored predictions, one mapping an example.

        Raises:
            UserError: the file is missing, or a line is no scored prediction.
        """
        path = self.scores / "predictions_final.jsonl"
        if not path.is_file():
            raise UserError(f"{path}: no such file", "Run `score` first.")
        with path.open(encoding="utf-8") as handle:
            for number, line in enumerate(handle, start=1):
                try:
                    fields = json.loads(line)
                    if not {"id", "prediction", "exact_match", "kind", "target_tokens"} <= fields.keys():
                        raise ValueError("a field is missing")
                except (ValueError, AttributeError) as fault:
                    raise UserError(
                        f"{path}:{number}: not a scored prediction ({fault})", "Delete it and rerun `score`."
                    ) from None
                yield fields


def models_of(names: Sequence[str], trained: Sequence[str], run_folder: Path) -> list[Model]:
    """Return the models of a run by their names, those of `trained` marked as such."""
    return [Model(name, run_folder, name in trained) for name in names]


def labels_of(models: Sequence[Model]) -> dict[str, str]:
    """Return each model's name to what the report calls it: its variant, with the seed where there are several."""
    seeds: dict[str, int] = {}
    for model in models:
        seeds[model.variant] = seeds.get(model.variant, 0) + 1
    return {
        model.name: model.variant if seeds[model.variant] == 1 else f"{model.variant}, seed {model.seed}"
        for model in models
    }


def state_of(model: Model) -> str:
    """Return how far a model is that is not done, in words."""
    if not model.is_trained or (model.folder / "training_report.json").is_file():
        return "trained, not yet judged"
    steps = model.steps()
    if not steps:
        return "not begun"
    return f"in training: epoch {steps[-1]['epoch']}, step {int(steps[-1]['step']) + 1:,}"
