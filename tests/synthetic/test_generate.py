"""The embedded corpus: the same everywhere, varied, parseable, decidable from its input, and true in Java."""

import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import javalang
import pytest
from junit_project import failing_packages, package_of, reason_to_skip

from assertkd.errors import UserError
from assertkd.records import MARKER, Record
from assertkd.synthetic import generate

COUNT = 4000
JAVA_NAMES = {"Assert", "Arrays", "asList", "String", "new", "int", "class", "isPresent"}
"""What an assertion may name without its input naming it."""
RANGES = {
    "assertEquals": (0.45, 0.60),
    "booleans": (0.18, 0.27),
    "nulls": (0.06, 0.11),
    "identity": (0.02, 0.06),
    "assertArrayEquals": (0.03, 0.06),
    "assertThrows": (0.035, 0.07),
    "assertNotEquals": (0.003, 0.02),
}
GROUPS = {
    "assertTrue": "booleans",
    "assertFalse": "booleans",
    "assertNull": "nulls",
    "assertNotNull": "nulls",
    "assertSame": "identity",
    "assertNotSame": "identity",
}


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(generate(COUNT, seed=7))


def names_in(source: str) -> set[str]:
    """Return the identifiers and keywords of a piece of Java, literals left out."""
    bare = re.sub(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|\b\d[\w.-]*""", " ", source)
    return set(re.findall(r"[A-Za-z_]\w*", bare))


def test_same_arguments_give_the_same_records_in_another_process(records: list[Record]) -> None:
    script = (
        "import hashlib, json; from assertkd.synthetic import generate; "
        "print(hashlib.sha256(json.dumps([r.as_dict() for r in generate(60, 7)]).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_longer_run_starts_with_the_shorter_one(records: list[Record]) -> None:
    assert list(generate(150, seed=7)) == records[:150]


def test_only_the_families_that_are_named_are_drawn_from() -> None:
    few = list(generate(80, 7, ["toggle", "account"]))
    assert {record.extra["family"] for record in few} == {"toggle", "account"}
    assert few == list(generate(80, 7, ["account", "toggle"])), "their order makes no difference"


def test_an_unknown_family_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'togle' is no family \(did you mean `toggle`\?\)"):
        next(generate(1, 7, ["togle"]))
    with pytest.raises(UserError, match="names no family"):
        next(generate(1, 7, []))


def test_seeds_give_different_records(records: list[Record]) -> None:
    other = {(record.focal_method, record.test_method) for record in generate(300, seed=8)}
    shared = [record for record in records if (record.focal_method, record.test_method) in other]
    assert len(shared) < 15


def test_no_input_occurs_twice(records: list[Record]) -> None:
    inputs = {(record.focal_method, record.test_method) for record in records}
    assert len(inputs) == COUNT
    assert len({record.id for record in records}) == COUNT


def test_families_and_projects_are_many_and_mixed(records: list[Record]) -> None:
    assert len({record.extra["family"] for record in records}) >= 40
    projects = Counter(record.project for record in records)
    assert len(projects) == 40
    assert set(projects.values()) == {COUNT // 40}
    for project in projects:
        families = {record.extra["family"] for record in records if record.project == project}
        assert len(families) >= 25, project


def test_few_focal_methods_are_shared_between_projects(records: list[Record]) -> None:
    owners: dict[str, set[str | None]] = {}
    for record in records:
        owners.setdefault(record.focal_method, set()).add(record.project)
    shared = sum(len(owners[record.focal_method]) > 1 for record in records)
    assert shared / COUNT < 0.2


def test_assertion_kinds_are_distributed_as_in_hand_written_tests(records: list[Record]) -> None:
    kinds = Counter(record.extra["assertion_type"] for record in records)
    shares = Counter({GROUPS.get(kind, kind): 0 for kind in kinds})
    for kind, count in kinds.items():
        shares[GROUPS.get(kind, kind)] += count
    assert set(shares) == set(RANGES)
    for group, (low, high) in RANGES.items():
        assert low <= shares[group] / COUNT <= high, (group, shares[group] / COUNT)


def test_the_gap_is_single_and_does_not_give_the_assertion_away(records: list[Record]) -> None:
    for record in records:
        assert record.test_method.count(MARKER) == 1
        assert record.extra["test_source"].count(MARKER) == 1
        assert record.assertion not in record.test_method.splitlines()
        assert "\n" not in record.assertion
        assert record.assertion.endswith(";")
        assert record.assertion.removeprefix("Assert.").startswith(record.extra["assertion_type"] + "(")


def test_every_name_in_an_assertion_is_visible_in_its_input(records: list[Record]) -> None:
    for record in records:
        visible = set(re.findall(r"\w+", record.focal_method + record.test_method))
        unseen = names_in(record.assertion) - visible - JAVA_NAMES - {record.extra["assertion_type"]}
        assert not unseen, (record.id, unseen)


def test_inputs_are_short(records: list[Record]) -> None:
    for record in records:
        assert len(record.test_method.splitlines()) <= 15
        assert len(record.focal_method.splitlines()) <= 20
        assert record.focal_method == record.focal_method.strip()


def test_every_unit_parses(records: list[Record]) -> None:
    for record in random.Random(0).sample(records, 200):
        javalang.parse.parse(record.extra["class_source"])
        test = record.extra["test_source"].replace(MARKER, record.assertion)
        javalang.parse.parse(test)
        assert record.focal_method.splitlines()[-2].strip() in record.extra["class_source"]


def negated(assertion: str) -> str:
    """Return the assertion with the opposite claim."""
    opposites = {"True": "False", "False": "True", "NotNull": "Null", "Null": "NotNull"}
    opposites |= {"NotSame": "Same", "Same": "NotSame", "NotEquals": "Equals", "Equals": "NotEquals"}
    return re.sub(r"assert(\w+)\(", lambda match: f"assert{opposites[match[1]]}(", assertion, count=1)


@pytest.mark.java
def test_gold_assertions_pass_and_wrong_ones_fail(records: list[Record], tmp_path: Path) -> None:
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    chosen = random.Random(1).sample(records, 100)
    kept = ("assertThrows", "assertArrayEquals")
    wrong = {package_of(record) for record in chosen[:25] if record.extra["assertion_type"] not in kept}
    assert len(wrong) > 15
    pairs = [
        (record, negated(record.assertion) if package_of(record) in wrong else record.assertion) for record in chosen
    ]
    assert failing_packages(pairs, tmp_path / "mixed") == wrong


@pytest.mark.java
def test_every_gold_assertion_of_a_sample_passes(records: list[Record], tmp_path: Path) -> None:
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    chosen = random.Random(2).sample(records, 100)
    assert failing_packages([(record, record.assertion) for record in chosen], tmp_path) == set()
