"""Counts of the mined files, tests and assertions: used, or left out for a reason."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any


@dataclass
class Counts:
    """Counts of one project, or of several added up.

    Attributes:
        files: Java files, bad ones included.
        bad_files: those left out, by reason.
        files_in_part: those of which parts do not parse.
        tests: test methods, by framework.
        tests_left_out: those whose assertions are not used, by reason.
        tests_linked: those with at least one record.
        assertions: in tests that are used.
        records: by how their test was linked.
        unlinked: assertions without a record, by reason: no focal method, or no statement of their own.
        shown: records whose test shows the assertion, or a comment on its line, by where.
    """

    files: int = 0
    lines: int = 0
    bad_files: Counter[str] = field(default_factory=Counter)
    files_in_part: int = 0
    tests: Counter[str] = field(default_factory=Counter)
    tests_left_out: Counter[str] = field(default_factory=Counter)
    tests_linked: int = 0
    assertions: int = 0
    records: Counter[str] = field(default_factory=Counter)
    unlinked: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)

    def add_left_out(self, framework: str, reason: str) -> None:
        """Count a test that is left out."""
        self.tests[framework] += 1
        self.tests_left_out[reason] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object, with the share of the tests in use that are linked."""
        tests_used = self.tests.total() - self.tests_left_out.total()
        return {
            "files": self.files,
            "lines": self.lines,
            "bad_files": dict(self.bad_files.most_common()),
            "files_in_part": self.files_in_part,
            "tests": self.tests.total(),
            "tests_by_framework": dict(self.tests.most_common()),
            "tests_left_out": dict(self.tests_left_out.most_common()),
            "tests_linked": self.tests_linked,
            "share_of_tests_linked": round(self.tests_linked / tests_used, 4) if tests_used else None,
            "assertions": self.assertions,
            "records": self.records.total(),
            "records_by_link": dict(self.records.most_common()),
            "assertions_unlinked": dict(self.unlinked.most_common()),
            "assertions_shown": dict(self.shown.most_common()),
        }


def summed(counts: Iterable[Counts]) -> Counts:
    """Return the sum of several projects' counts."""
    # Both counters and integers add up.
    columns = zip(*(vars(each).values() for each in (Counts(), *counts)), strict=True)
    return Counts(*(reduce(add, column) for column in columns))


def format_counts(counts: Mapping[str, Any]) -> str:
    """Return the counts of all projects and of each as lines of text.

    Args:
        counts: what `mine_corpus` returns.
    """
    width = max(len("project"), *map(len, counts["projects"]))
    lines = [f"{'project':<{width}} {'files':>7} {'lines':>9} {'tests':>7} {'linked':>7} {'records':>8}"]
    for name, row in (*counts["projects"].items(), ("all", counts["total"])):
        share = row["share_of_tests_linked"]
        linked = "" if share is None else f"{share:.0%}"
        figures = f"{row['files']:>7,} {row['lines']:>9,} {row['tests']:>7,} {linked:>7} {row['records']:>8,}"
        lines.append(f"{name:<{width}} {figures}")
    for title, key in (("files", "bad_files"), ("tests", "tests_left_out"), ("assertions", "assertions_unlinked")):
        for reason, count in counts["total"][key].items():
            lines.append(f"left out: {count:,} {title if count != 1 else title[:-1]}: {reason}")
    for where, count in counts["total"]["assertions_shown"].items():
        lines.append(f"shown by its test: {count:,} assertion{'s' * (count != 1)}: {where}")
    if parts := counts["total"]["files_in_part"]:
        lines.append(f"used in part: {parts:,} file{'s' * (parts != 1)}, of which parts do not parse")
    return "\n".join(lines)
