"""Scoring goes on whatever a model writes: long, deep, unbalanced, strange and slow predictions."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assertkd.evaluation.example_scores import (
    CHUNK,
    Answered,
    TimeLimitError,
    assertion_kind,
    score_example,
    score_examples,
    time_limit,
)
from assertkd.evaluation.params import ScoreParams
from assertkd.evaluation.score import score
from assertkd.metrics.registry import METRICS
from assertkd.models.encoders import PACKAGED
from assertkd.predictions import Prediction

GOLD = "assertEquals(3, list.size());"
PATHOLOGICAL = {
    "empty": "",
    "blank": " \n\t",
    "a megabyte": "assertEquals(x, y); " * 50_000,
    "one word of a megabyte": "x" * 1_000_000,
    "deep calls": "f(" * 20_000 + ")" * 20_000 + ";",
    "open parentheses": "(" * 50_000,
    "casts": "(a)" * 20_000 + "b;",
    "braces": "{" * 20_000 + "}" * 20_000,
    "lambdas": "x->" * 5_000 + "1;",
    "generics": "a<" * 5_000 + ";",
    "nested ifs": "if(x) " * 5_000 + ";",
    "assignments": "a=" * 5_000 + "1;",
    "loops": "for(int i=0;i<1;i++) " * 300 + ";",
    "whiles": "while(x=x) " * 22 + ";",
    "quotes": '"' * 9_999,
    "open comment": "/*" * 5_000,
    "annotations": "@A(" * 5_000,
    "not ASCII": "assertEquals(“三”, δ́.größe());" * 300,
    "control signs": "\0\x01\x1f\x7f" * 500,
    "half a surrogate pair": "assertTrue(\ud800);",
}


def predictions() -> list[Prediction]:
    return [Prediction(name, text, GOLD) for name, text in PATHOLOGICAL.items()]


@pytest.mark.parametrize("processes", [1, 2])
def test_pathological_predictions_are_scored_within_their_limit(tmp_path: Path, processes: int) -> None:
    path = tmp_path / "predictions.jsonl"
    lines = [*predictions(), Prediction("good", GOLD, GOLD)]
    path.write_text("".join(json.dumps(one.as_dict()) + "\n" for one in lines))
    params = ScoreParams(encoder=PACKAGED, example_seconds=0.5, bootstrap_resamples=100)
    summary = score(params, path, None, tmp_path, processes=processes)
    assert summary["n"] == len(PATHOLOGICAL) + 1
    found = {}
    for line in (tmp_path / "predictions_final.jsonl").read_text(encoding="utf-8").splitlines():
        found[json.loads(line)["id"]] = json.loads(line)
    for line in found.values():
        assert all(0.0 <= line[name] <= 1.0 for name in METRICS)
        assert line["exact_match"] == (line["id"] == "good")
    assert found["good"]["code_quality_score"] == 1.0
    assert found["empty"]["code_quality_score"] == found["blank"]["code_quality_score"] == 0.0
    assert not any(found[name]["timed_out"] for name in ("good", "empty", "not ASCII", "half a surrogate pair"))
    assert summary["timed_out"] == sum(line["timed_out"] for line in found.values())


def test_a_slow_example_is_given_up_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def slow(prediction: str, reference: str) -> float:
        while prediction == "slow":
            pass
        return 0.5

    names = ["exact_match", "slow", "f1"]
    metrics = {"exact_match": METRICS["exact_match"], "slow": slow, "f1": METRICS["f1"]}
    monkeypatch.setattr("assertkd.metrics.registry.METRICS", metrics)
    path = tmp_path / "predictions.jsonl"
    lines = [{"id": text, "prediction": text, "reference": text} for text in ("fast", "slow", "last")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for processes in (1, 2):
        params = ScoreParams(encoder=None, example_seconds=0.2, bootstrap_resamples=10)
        summary = score(params, path, None, tmp_path / "out", processes=processes)
        assert summary["timed_out"] == 1
        assert "1 example (first 'slow') took more than 0.2 s" in caplog.text
        found = [json.loads(line) for line in (tmp_path / "out/predictions_final.jsonl").read_text().splitlines()]
        assert [line["timed_out"] for line in found] == [False, True, False]
        # What was computed before stands; what was not counts 0.
        assert [[line[name] for name in names] for line in found] == [[1, 0.5, 1], [1, 0, 0], [1, 0.5, 1]]


def test_input_is_read_as_it_is_needed() -> None:
    read = 0

    def endless() -> Iterator[Answered]:
        nonlocal read
        while True:
            read += 1
            yield Answered(Prediction(str(read), GOLD, GOLD))

    for processes in (1, 2):
        read = 0
        answer, scores = next(score_examples(endless(), processes=processes))
        assert (answer.own.id, scores.values["exact_match"]) == ("1", 1.0)
        assert read <= 6 * CHUNK


def test_the_work_is_done_in_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "process", lambda prediction, reference: float(os.getpid()))
    answers = [Answered(Prediction(str(n), GOLD, GOLD)) for n in range(8 * CHUNK)]
    used = {scores.values["process"] for _, scores in score_examples(answers, processes=2)}
    assert float(os.getpid()) not in used
    assert 1 <= len(used) <= 2
    assert {scores.values["process"] for _, scores in score_examples(answers[:5], processes=1)} == {float(os.getpid())}


def test_agreement_is_with_the_teacher() -> None:
    one = score_example(Answered(Prediction("a", "assertTrue(x);", GOLD), "assertTrue(y);"), 10.0)
    assert one.agreement == (pytest.approx(4 / 5), 0.0)
    assert score_example(Answered(Prediction("a", "assertTrue(x);", GOLD)), 10.0).agreement is None


class TestTimeLimit:
    def test_work_that_is_quick_goes_through_and_leaves_no_alarm(self) -> None:
        with time_limit(0.05):
            value = sum(range(10))
        assert value == 45
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass

    def test_work_without_end_is_stopped(self) -> None:
        with pytest.raises(TimeLimitError, match=r"more than 0\.05 s"), time_limit(0.05):
            while True:
                pass

    def test_waiting_costs_nothing(self) -> None:
        with time_limit(0.05):
            time.sleep(0.2)

    def test_an_error_inside_comes_out(self) -> None:
        with pytest.raises(ZeroDivisionError), time_limit(5):
            1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        (GOLD, "assertEquals"),
        ("org.junit.Assert.assertTrue(x);", "assertTrue"),
        ("assertThat(x).isEqualTo(assertAll());", "assertThat"),
        ("verify(mock, times(2)).run();", "verify"),
        ("thrown.expect(Foo.class);", "expect"),
        ("assert x > 1;", "assert"),
        ("fail();", "fail"),
        ("int assertion = fail;", "other"),
        ("", "other"),
    ],
)
def test_kinds(reference: str, kind: str) -> None:
    assert assertion_kind(reference) == kind
