"""The baseline that searches, against sets compared one by one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.errors import UserError
from assertkd.evaluation import find_nearest_record as module
from assertkd.evaluation.find_nearest_record import find_nearest_record, nearest, tokens_of
from assertkd.evaluation.params import FindNearestRecordParams
from assertkd.predictions import read_predictions
from assertkd.records import MARKER, Record, write_records

SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh")), min_size=1, max_size=12)


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


@given(SETS, SETS)
@pytest.mark.parametrize("at_a_time", [1, 1 << 24])
def test_no_other_is_more_similar_and_no_earlier_one_equals_it(
    at_a_time: int, asked: list[frozenset[str]], known: list[frozenset[str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAIRS_AT_A_TIME", at_a_time)
        found = nearest(asked, known)
    for one, position in zip(asked, found, strict=True):
        similar = [likeness(one, other) for other in known]
        assert position == similar.index(max(similar))


def record(id_: str, focal: str, test: str, assertion: str) -> Record:
    return Record(id_, focal, f"@Test void t() {{ {test} {MARKER} }}", assertion, "p/q")


def test_tokens_are_those_of_focal_method_and_test_without_comments() -> None:
    test = f'@Test void t() {{ String s = "f()"; {MARKER} after(); // why\n }}'
    of = Record("a", "int f() { return 1; /* one */ } // end", test, "assertEquals(1, f());")
    assert tokens_of(of) == {*"(){};=@1", "int", "f", "return", "Test", "void", "t", "String", "s", '"f()"', "after"}


def test_the_assertion_of_the_most_similar_training_record_is_taken(tmp_path: Path) -> None:
    stack = record("stack", "int size() { return count; }", "stack.push(1);", "assertEquals(1, stack.size());")
    queue = record(
        "queue", "boolean isEmpty() { return head == null; }", "queue.clear();", "assertTrue(queue.isEmpty());"
    )
    asked = [
        record("q", "boolean isEmpty() { return head == null; }", "Queue queue = new Queue();", "assertNull(queue);"),
        record("s", "int size() { return count; }", "stack.pop();", "assertEquals(0, stack.size());"),
    ]
    write_records(tmp_path / "train.jsonl", [stack, queue])
    write_records(tmp_path / "test.jsonl", asked)
    for limit in (None, 1):
        folder = tmp_path / str(limit)
        files = (tmp_path / "train.jsonl", tmp_path / "test.jsonl", folder)
        find_nearest_record(FindNearestRecordParams(limit=limit), *files)
        found = [(one.id, one.prediction, one.reference) for one in read_predictions(folder / "predictions.jsonl")]
        assert (
            found
            == [
                ("q", "assertTrue(queue.isEmpty());", "assertNull(queue);"),
                ("s", "assertEquals(1, stack.size());", "assertEquals(0, stack.size());"),
            ][:limit]
        )
        assert json.loads((folder / "measured.json").read_text()) == {"examples": len(found)}


def test_an_empty_training_split_is_named(tmp_path: Path) -> None:
    write_records(tmp_path / "train.jsonl", [])
    write_records(tmp_path / "test.jsonl", [record("q", "int f() { return 1; }", "f();", "assertEquals(1, f());")])
    with pytest.raises(UserError, match=r"train\.jsonl: holds no records"):
        find_nearest_record(
            FindNearestRecordParams(limit=None), tmp_path / "train.jsonl", tmp_path / "test.jsonl", tmp_path / "found"
        )
