"""Test examples with what every model wrote for them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assertkd.errors import UserError
from assertkd.records import MARKER, Record


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model wrote for one example, and whether that is an exact match."""

    model: str
    text: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One test example: focal method, the test before and after its gap, the gold assertion and all answers."""

    id: str
    project: str
    focal_method: str
    test_before: str
    test_after: str
    gold: str
    answers: list[Answer]


def choose_examples(records: Iterable[Record], predictions: Mapping[str, Path], count: int) -> list[Example]:
    """Return `count` examples, or as many as there are, that show the models in every constellation.

    Examples are grouped by which models match exactly; the groups take turns, the largest first, each in the order of
    the records. So the page shows successes, common failures and disagreements side by side.

    Args:
        records: the test split.
        predictions: per model's label its `predictions_final.jsonl`, in the order in which answers are shown.
        count: number of examples.

    Raises:
        UserError: a predictions file is missing or broken.
    """
    answers = {label: read_answers(label, path) for label, path in predictions.items()}
    groups: dict[tuple[bool, ...], list[Example]] = {}
    for record in records:
        if not all(record.id in of_model for of_model in answers.values()):
            continue
        given = [of_model[record.id] for of_model in answers.values()]
        before, _, after = record.test_method.partition(MARKER)
        example = Example(record.id, record.project or "", record.focal_method, before, after, record.assertion, given)
        groups.setdefault(tuple(answer.exact for answer in given), []).append(example)
    ordered = sorted(groups.values(), key=len, reverse=True)
    turns = [
        group[turn]
        for turn in range(min(count, max(map(len, ordered), default=0)))
        for group in ordered
        if turn < len(group)
    ]
    return turns[:count]


def read_answers(label: str, path: Path) -> dict[str, Answer]:
    """Return one model's answers by example id.

    Raises:
        UserError: the file is missing, or a line is no scored prediction.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "Run `score` first.")
    answers = {}
    with path.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                fields: dict[str, Any] = json.loads(line)
                answers[fields["id"]] = Answer(label, fields["prediction"], fields["exact_match"] == 1)
            except (ValueError, KeyError, TypeError) as fault:
                raise UserError(
                    f"{path}:{number}: not a scored prediction ({fault!r})", "Delete it and rerun `score`."
                ) from None
    return answers
