"""The test examples of the page's browser, with every model's prediction, compressed."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assertkd.evaluation.sampling import evenly_spaced
from assertkd.records import Record
from assertkd.report.results import Model


def example_data(
    records: Iterable[Record], models: Sequence[Model], labels: Mapping[str, str], count: int
) -> dict[str, Any]:
    """Return what the browser of examples shows, as JSON values.

    Answers that are equal are stored once an example, since most models agree on most examples.

    Args:
        records: the test split.
        models: every evaluated model, in the order in which answers are shown.
        labels: each model's name to its label.
        count: most examples; where the split holds more, every k-th is taken.

    Returns:
        `models`: labels; `kinds`, `projects`: names; `total`: evaluated examples; `examples`: lists of id, index of the
        kind, index of the project, focal method, test, reference, distinct answers, 1 or 0 for each of them (exact
        match or not), and per model the index of its answer.

    Raises:
        UserError: a predictions file is missing or broken.
    """
    answers = [{one["id"]: one for one in model.predictions()} for model in models]
    evaluated = [record for record in records if answers and all(record.id in of_model for of_model in answers)]
    kinds: dict[str, int] = {}
    projects: dict[str, int] = {}
    examples = []
    for record in evenly_spaced(evaluated, count):
        row = [of_model[record.id] for of_model in answers]
        texts: dict[str, tuple[int, int]] = {}
        for one in row:
            texts.setdefault(one["prediction"], (len(texts), int(one["exact_match"] == 1)))
        kind, project = row[0]["kind"], record.project or ""
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
                [texts[one["prediction"]][0] for one in row],
            ]
        )
    return {
        "models": [labels[model.name] for model in models],
        "kinds": list(kinds),
        "projects": list(projects),
        "total": len(evaluated),
        "examples": examples,
    }


def packed(data: Mapping[str, Any]) -> str:
    """Return JSON values as base64 of gzip: small, the same for the same values, and safe in HTML."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
