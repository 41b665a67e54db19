"""The test examples that the page's browser shows, with every model's answer, packed small."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assertkd.records import Record
from assertkd.report.results import Model


def example_data(
    records: Iterable[Record], models: Sequence[Model], labels: Mapping[str, str], count: int
) -> dict[str, Any]:
    """Return what the browser of examples shows, as JSON values.

    Answers that are equal are stored once an example, since most models agree on most examples.

    Args:
        records: the test split.
        models: every judged model, in the order in which answers are shown.
        labels: each model's name to what it is called.
        count: most examples; where the split holds more, every k-th is taken.

    Returns:
        `models`: labels; `kinds`, `projects`: names; `total`: judged examples; `examples`: lists of id, index of the
        kind, index of the project, focal method, test, reference, distinct answers, 1 or 0 for each of them (exact
        match or not), and per model the index of its answer.

    Raises:
        UserError: a predictions file is missing or broken.
    """
    answers = [{one["id"]: one for one in model.predictions()} for model in models]
    judged = [record for record in records if answers and all(record.id in of_model for of_model in answers)]
    kinds: dict[str, int] = {}
    projects: dict[str, int] = {}
    examples = []
    for record in evenly(judged, count):
        given = [of_model[record.id] for of_model in answers]
        texts: dict[str, tuple[int, int]] = {}
        for one in given:
            texts.setdefault(one["prediction"], (len(texts), int(one["exact_match"] == 1)))
        kind, project = given[0]["kind"], record.project or ""
        examples.append(
            [
                record.id,
                kinds.setdefault(kind, len(kinds)),
                projects.setdefault(project, len(projects)),
                record.focal_method,
                record.test_method,
                record.assertion,
                list(texts),
                [exact for _, exact in texts.values()],
                [texts[one["prediction"]][0] for one in given],
            ]
        )
    return {
        "models": [labels[model.name] for model in models],
        "kinds": list(kinds),
        "projects": list(projects),
        "total": len(judged),
        "examples": examples,
    }


def evenly(records: Sequence[Record], count: int) -> list[Record]:
    """Return `count` of the records at even distances, or all where there are no more."""
    if count >= len(records):
        return list(records)
    return [records[index * len(records) // count] for index in range(count)]


def packed(data: Mapping[str, Any]) -> str:
    """Return JSON values as base64 of gzip: small, the same for the same values, and without a sign that HTML reads."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
