"""The rule `find_nearest_record`: a baseline without a model, the assertion of the most similar training record.

After Yu et al., "Automated Assertion Generation via Information Retrieval and Its Integration with Deep Learning" (ICSE
2022): focal method and test are a set of Java tokens, two sets are as similar as the share that they have in common
(Jaccard), and the assertion found is taken as it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from assertkd.evaluation.params import FindNearestRecordParams
from assertkd.evaluation.predict import prediction_of
from assertkd.files import write_json
from assertkd.layout import EvaluationLayout
from assertkd.metrics.lexer import java_tokens
from assertkd.predictions import write_predictions
from assertkd.records import Record, read_records

PAIRS_AT_A_TIME = 1 << 24
"""Pairs of a test and a training record that are compared together; 8 bytes each and more."""


def find_nearest_record(params: FindNearestRecordParams, train_file: Path, test_file: Path, folder: Path) -> None:
    """Write `predictions.jsonl` and `measured.json` to `folder`; without a model, size and speed are not measured.

    Args:
        params: how many test records are used.
        train_file: the training split: all its gold assertions are searched, those too that students do not learn.
        test_file: the test split.
        folder: where the files go.

    Raises:
        UserError: a file is missing or broken.
    """
    output = EvaluationLayout(folder)
    assertions: list[str] = []
    known: list[frozenset[str]] = []
    for record in read_records(train_file):
        assertions.append(record.assertion)
        known.append(tokens_of(record))
    records = list(islice(read_records(test_file), params.limit))
    found = nearest(list(map(tokens_of, records)), known)
    write_predictions(
        output.predictions,
        (prediction_of(record, assertions[position]) for record, position in zip(records, found, strict=True)),
    )
    write_json(output.measured, {"examples": len(records)})


def tokens_of(record: Record) -> frozenset[str]:
    """Return the Java tokens of focal method and test, each once."""
    return frozenset(java_tokens(f"{record.focal_method} {record.test_method}"))


def nearest(asked: Sequence[frozenset[str]], known: Sequence[frozenset[str]]) -> list[int]:
    """Return for each set of `asked` the position of the most similar of `known` (Jaccard), the first of equals.

    Args:
        asked: sets of tokens.
        known: the same, at least one.
    """
    columns: dict[str, int] = defaultdict(lambda: len(columns))
    of_known, of_asked = (_membership(sets, columns) for sets in (known, asked))
    for matrix in (of_known, of_asked):
        matrix.resize(matrix.shape[0], len(columns))
    sizes = np.array([len(tokens) for tokens in known])
    rows = max(1, PAIRS_AT_A_TIME // len(known))
    found: list[int] = []
    for start in range(0, len(asked), rows):
        shared = (of_asked[start : start + rows] @ of_known.T).toarray()
        own = np.array([[len(tokens)] for tokens in asked[start : start + rows]])
        found += (shared / np.maximum(own + sizes - shared, 1)).argmax(axis=1).tolist()
    return found


def _membership(sets: Iterable[frozenset[str]], columns: dict[str, int]) -> csr_array:
    """Return a matrix of a row a set and a column a token, 1 where it is in the set; new tokens get new columns."""
    ends, indices = [0], []
    for tokens in sets:
        indices += [columns[token] for token in tokens]
        ends.append(len(indices))
    ones: npt.NDArray[np.int32] = np.ones(len(indices), dtype=np.int32)
    return csr_array((ones, np.array(indices, dtype=np.int64), np.array(ends)), shape=(len(ends) - 1, len(columns)))
