"""The rule `find_nearest_record`: a baseline without a model, the assertion of the most similar training record.

After Yu et al., "Automated Assertion Generation via Information Retrieval and Its Integration with Deep Learning" (ICSE
2022): focal method and test are a set of Java tokens, two sets are as similar as the share that they have in common
(Jaccard), and the assertion found is taken as it is.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from assertkd.errors import UserError
from assertkd.evaluation.params import FindNearestRecordParams
from assertkd.evaluation.predict import prediction_of
from assertkd.files import write_json
from assertkd.layout import EvaluationLayout
from assertkd.metrics.lexer import java_tokens
from assertkd.predictions import write_predictions
from assertkd.records import MARKER, Record, read_records

PAIRS_AT_A_TIME = 1 << 20
"""Pairs of a test and a training record that are compared together; some 20 bytes each."""


def find_nearest_record(params: FindNearestRecordParams, train_file: Path, test_file: Path, folder: Path) -> None:
    """Write `predictions.jsonl` and `measured.json` to `folder`; without a model, size and speed are not measured.

    Args:
        params: how many test records are used.
        train_file: the training split: all its gold assertions are searched, those too that students do not learn.
        test_file: the test split.
        folder: where the files go.

    Raises:
        UserError: a file is missing or broken, or there is no training record.
    """
    output = EvaluationLayout(folder)
    assertions: list[str] = []

    def searched() -> Iterator[frozenset[str]]:
        for record in read_records(train_file):
            assertions.append(record.assertion)
            yield tokens_of(record)
        if not assertions:
            raise UserError(f"{train_file}: holds no records", "Move the file away and rerun `prepare_corpus`.")

    records = list(islice(read_records(test_file), params.limit))
    found = nearest(map(tokens_of, records), searched())
    write_predictions(
        output.predictions,
        (prediction_of(record, assertions[position]) for record, position in zip(records, found, strict=True)),
    )
    write_json(output.measured, {"examples": len(records)})


def tokens_of(record: Record) -> frozenset[str]:
    """Return the Java tokens of focal method and test, each once."""
    # A comment ends with its line; the marker is one, and a test may go on behind it.
    test = record.test_method.replace(MARKER, "\n")
    # Without the cache: no text comes twice.
    return frozenset(java_tokens.__wrapped__(f"{record.focal_method}\n{test}"))


def nearest(asked: Iterable[frozenset[str]], known: Iterable[frozenset[str]]) -> list[int]:
    """Return for each set of `asked` the position of the most similar of `known` (Jaccard), the first of equals.

    Args:
        asked: sets of tokens.
        known: the same, at least one.
    """
    columns: dict[str, int] = {}
    of_known, of_asked = (_membership(sets, columns) for sets in (known, asked))
    of_known.resize(of_known.shape[0], len(columns))
    sizes, own = (matrix.sum(axis=1) for matrix in (of_known, of_asked))
    rows = max(1, PAIRS_AT_A_TIME // len(sizes))
    found: list[int] = []
    for start in range(0, len(own), rows):
        part = slice(start, start + rows)
        shared = (of_asked[part] @ of_known.T).toarray()
        either = own[part, np.newaxis] + sizes - shared
        found += (shared / np.maximum(either, 1)).argmax(axis=1).tolist()
    return found


def _membership(sets: Iterable[frozenset[str]], columns: dict[str, int]) -> csr_array:
    """Return a matrix of a row a set and a column a token, 1 where it is in the set; new tokens get new columns."""
    ends, indices = array("q", [0]), array("i")
    for tokens in sets:
        indices.extend(columns.setdefault(token, len(columns)) for token in tokens)
        ends.append(len(indices))
    ones = np.ones(len(indices), dtype=np.int32)
    return csr_array((ones, np.asarray(indices), np.asarray(ends)), shape=(len(ends) - 1, len(columns)))
