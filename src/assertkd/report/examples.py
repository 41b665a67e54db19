"""The test examples of the page's browser, with every model's prediction."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assertkd.evaluation.sampling import evenly_spaced
from assertkd.records import read_records
from assertkd.report.results import Model


def example_data(test_file: Path, models: Sequence[Model], labels: Mapping[str, str], count: int) -> dict[str, Any]:
    """Return what the browser of examples shows, as JSON values.

    Answers that are equal are stored once an example, since most models agree on most examples.

    Args:
        test_file: the test split.
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
    evaluated = [
        record for record in read_records(test_file) if answers and all(record.id in of_model for of_model in answers)
    ]
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
