"""What every metric says of predictors whose worth is known: the table of docs/metrics.md.

    python benchmarks/degenerate_predictors.py --run results/demo                            prints the table
    python benchmarks/degenerate_predictors.py --run results/demo --write docs/metrics.md    puts it in its place there

Needs a run on the generated corpus that is done up to `predict` of its teacher.
"""

import argparse
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from assertkd.evaluation.example_scores import Answered, ExampleScores, score_examples
from assertkd.evaluation.summary import mean_parts
from assertkd.metrics.lexer import java_tokens
from assertkd.metrics.registry import METRICS
from assertkd.models.encoders import PACKAGED, TextEncoder
from assertkd.predictions import Prediction, read_predictions
from assertkd.records import Record, read_records
from table_in_page import publish

BEGIN, END = "<!-- degenerate predictors -->", "<!-- end -->"
SORTS = (r"[A-Za-z_]\w*", r"\d\w*(?:\.\w+)?", r'".*"')
"""Names, numbers and strings: a token is changed for another of its sort."""


def one_token_changed(references: Sequence[str]) -> Callable[[str], str]:
    """Return a function that changes one name, number or string of a gold assertion for another one of the corpus."""
    rng = random.Random(1)
    by_sort: dict[str, list[str]] = defaultdict(list)
    for gold in references:
        for token in java_tokens(gold):
            if sort := sort_of(token):
                by_sort[sort].append(token)

    def changed(gold: str) -> str:
        tokens = list(java_tokens(gold))
        place = rng.choice([index for index, token in enumerate(tokens) if sort_of(token)])
        others = [token for token in by_sort[sort_of(tokens[place])] if token != tokens[place]]
        tokens[place] = rng.choice(others)
        return " ".join(tokens)

    return changed


def sort_of(token: str) -> str:
    return next((sort for sort in SORTS if re.fullmatch(sort, token)), "")


def predictors(records: Sequence[Record], training: Sequence[Record], teacher: Path) -> dict[str, list[str]]:
    """Return what each predictor writes for the test records."""
    most_frequent, _ = Counter(record.assertion for record in training).most_common(1)[0]
    change = one_token_changed([record.assertion for record in training])
    by_teacher = {one.id: one.prediction for one in read_predictions(teacher)}
    return {
        "nothing": ["" for _ in records],
        f"always `{most_frequent}`": [most_frequent for _ in records],
        "the teacher": [by_teacher[record.id] for record in records],
        "gold, one token changed": [change(record.assertion) for record in records],
        "gold": [record.assertion for record in records],
    }


def figures_of(records: Sequence[Record], texts: Sequence[str], encoder: TextEncoder, processes: int) -> dict[str, str]:
    """Return every metric's mean, and those of CodeBLEU's parts, as text."""
    answers = [
        Answered(Prediction(record.id, text, record.assertion)) for record, text in zip(records, texts, strict=True)
    ]
    scores: list[ExampleScores] = [one for _, one in score_examples(answers, encoder, processes=processes)]
    figures = {f"`{name}`": f"{fmean(one.values[name] for one in scores):.3f}" for name in METRICS}
    parts = mean_parts([one.parts for one in scores])
    names = ("ngram", "weighted_ngram", "syntax", "dataflow")
    return figures | {f"CodeBLEU: {name}": "–" if parts[name] is None else f"{parts[name]:.3f}" for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="results/<run>")
    parser.add_argument("--write", type=Path, help="a page with a place for the table")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    records = list(read_records(options.run / "corpus/test.jsonl"))
    training = list(read_records(options.run / "corpus/train.jsonl"))
    encoder = TextEncoder(PACKAGED)
    columns = {
        name: figures_of(records, texts, encoder, options.processes)
        for name, texts in predictors(records, training, options.run / "evaluation/teacher/predictions.jsonl").items()
    }
    rows = [["", *columns], ["---", *["---:"] * len(columns)]]
    rows += [[name, *(column[name] for column in columns.values())] for name in next(iter(columns.values()))]
    about = f"Means over {len(records):,} test examples of the run `{options.run.name}`."
    publish(rows, about, options.write, BEGIN, END)


if __name__ == "__main__":
    main()
