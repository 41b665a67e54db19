"""What gold assertions and predictions do when they are run: verdicts and mutants, by hand and on generated records."""

import random

import pytest
from java_source import box

from assertkd.evaluation.execution.gold import NOT_COMPILED, gold_executions
from assertkd.evaluation.execution.mutants import mutants_of
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.predicted import (
    NO_ASSERTION,
    NO_STATEMENT,
    Case,
    PredictedExecution,
    predicted_executions,
)
from assertkd.evaluation.execution.runner import FAILED, PASSED
from assertkd.evaluation.execution.units import Subject, subject_of
from assertkd.records import Record
from assertkd.settings import ExecuteSettings
from assertkd.synthetic import generate

pytestmark = pytest.mark.java

ALL = ExecuteSettings(mutants=100)


def subject(record: Record) -> Subject:
    found = subject_of(record)
    assert found is not None
    return found


def predicted(pool: ExecutionPool, gold_text: str, *texts: str) -> list[PredictedExecution]:
    """Return how the box's test goes with each of several predictions."""
    records = [box(f"b{number}", gold_text) for number in range(len(texts))]
    references = gold_executions(pool, [subject(one) for one in records], ALL)
    cases = [Case(subject(one), gold, text) for one, gold, text in zip(records, references, texts, strict=True)]
    return list(predicted_executions(pool, cases, ALL))


def test_verdicts(pool: ExecutionPool) -> None:
    texts = {
        "assertEquals(5, box.size(2));": PASSED,
        "assertTrue(box.size(0) == 3); assertNotNull(box);": PASSED,
        "assertEquals(4, box.size(2));": FAILED,
        "assert box.size(0) == 4;": FAILED,
        "assertEquals(5, box.count(2));": NOT_COMPILED,
        "assertEquals(5, box.size(2)": NO_STATEMENT,
        "": NO_STATEMENT,
        "} public void other() {": NO_STATEMENT,
        "box.size(2);": NO_ASSERTION,
        "org.junit.Assume.assumeTrue(false);": NO_ASSERTION,
        "org.junit.Assume.assumeTrue(false); assertTrue(false);": FAILED,
    }
    executions = predicted(pool, "assertNotNull(box);", *texts)
    assert dict(zip(texts, (one.ended for one in executions), strict=True)) == texts
    for one in executions:
        assert one.passes == (one.ended == PASSED)
        assert one.compiles == (one.ended not in (NOT_COMPILED, NO_STATEMENT))
    assert "expected:<4> but was:<5>" in executions[2].message
    assert "cannot find symbol" in executions[4].message


def test_gold_kills_the_mutants_that_it_sees(pool: ExecutionPool) -> None:
    [gold] = gold_executions(pool, [subject(box(assertion="assertEquals(5, box.size(2));"))], ALL)
    record = box()
    mutants = mutants_of(record.extra["class_source"], record.focal_method, 100)
    assert gold.made == gold.compiled == len(mutants) == len(gold.counted)
    survivors = [mutants[number] for number in gold.counted if number not in gold.killed]
    # size(2) = 3 + 2 under `extra > 1`: a moved boundary, another constant in the condition up to 2, and the other
    # return cannot be noticed.
    kept = {line.strip() for source in survivors for line in source.splitlines()} - {
        line.strip() for line in record.extra["class_source"].splitlines()
    }
    assert kept == {"if (extra >= 1) {", "return 0;"}
    unseen = next(source for source in survivors if "return 0;" in source)
    assert "return size + extra;" in unseen


def test_weak_assertions_kill_less_than_strong_ones(pool: ExecutionPool) -> None:
    strong, weak, empty, wrong = predicted(
        pool,
        "assertEquals(5, box.size(2));",
        "assertEquals(3 + 2, box.size(2));",
        "assertTrue(box.size(2) >= 3);",
        "assertNotNull(box);",
        "assertEquals(6, box.size(2));",
    )
    assert strong.killed == strong.gold_killed > weak.killed > empty.killed == 0
    assert (wrong.passes, wrong.killed) == (False, 0), "what fails on the original detects nothing"
    assert strong.mutants == weak.mutants == wrong.mutants > strong.killed


def test_mutants_that_the_test_kills_by_itself_do_not_count(pool: ExecutionPool) -> None:
    record = box(assertion="assertEquals(5, box.size(2));")
    earlier = record.extra["test_source"].replace(
        "Box box = new Box();", "Box box = new Box(); assertEquals(5, box.size(2));"
    )
    strict = Record(
        record.id,
        record.focal_method,
        record.test_method,
        record.assertion,
        extra={**record.extra, "test_source": earlier},
    )
    [alone, after] = [next(gold_executions(pool, [subject(one)], ALL)) for one in (record, strict)]
    assert set(after.counted) == set(alone.counted) - set(alone.killed)
    assert after.killed == ()


def test_a_mutant_that_never_ends_is_killed(pool: ExecutionPool) -> None:
    method = "int f(int n) {\n    int i = 0;\n    while (i < n) {\n        i++;\n    }\n    return i;\n}"
    record = box()
    source = f"package p.box;\npublic class Box {{\n{method}\n}}\n"
    looping = Record(
        "box", method, record.test_method, "assertEquals(2, box.f(2));", extra={**record.extra, "class_source": source}
    )
    [gold] = gold_executions(pool, [subject(looping)], ALL)
    mutants = mutants_of(source, method, 100)
    [endless] = [number for number, mutant in enumerate(mutants) if "i--" in mutant]
    assert gold.ended == PASSED
    assert endless in gold.killed


def test_gold_that_does_not_pass_is_said(pool: ExecutionPool) -> None:
    texts = ["assertEquals(1, box.size(2));", "assertEquals(1, box.size());"]
    wrong, broken = gold_executions(pool, [subject(box(f"g{n}", text)) for n, text in enumerate(texts)], ALL)
    assert (wrong.ended, broken.ended) == (FAILED, NOT_COMPILED)
    assert (wrong.counted, broken.counted) == ((), ())
    assert wrong.message
    assert broken.message


def test_every_gold_assertion_of_the_generated_corpus_passes(pool: ExecutionPool) -> None:
    # Of other samples a mutant or two never end, and each costs its time limit.
    records = random.Random(6).sample(list(generate(2000, 11)), 60)
    subjects = [subject(one) for one in records]
    limits = ExecuteSettings(mutants=2)
    references = list(gold_executions(pool, subjects, limits))
    assert [gold for gold in references if gold.ended != PASSED] == []
    assert sum(len(gold.counted) for gold in references) > 25
    assert 0.3 < sum(len(gold.killed) for gold in references) / sum(len(gold.counted) for gold in references) < 1.0
    # Another record's assertion is wrong, as a rule.
    texts = [one.assertion for one in records[1:] + records[:1]]
    cases = [Case(one, gold, text) for one, gold, text in zip(subjects, references, texts, strict=True)]
    foreign = list(predicted_executions(pool, cases, limits))
    assert sum(one.passes for one in foreign) < 0.3 * len(foreign)
    assert [one.id for one in foreign] == [one.id for one in records]
