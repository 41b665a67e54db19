"""What became of every file, test and assertion of the mined projects."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counts:
    """Counts of one project, or of several added up.

    Attributes:
        files: Java files, bad ones included.
        lines: of all files that were read.
        bad_files: reason to number of files that were left out.
        tests: test methods, by framework.
        tests_left_out: reason to number of tests of which no assertion is looked at.
        tests_linked: tests with at least one record.
        assertions: assertions in tests that are looked at.
        records: how many of them became records, by how their test was linked.
        unlinked: reason to number of assertions without a focal method.
    """

    files: int = 0
    lines: int = 0
    bad_files: Counter[str] = field(default_factory=Counter)
    tests: Counter[str] = field(default_factory=Counter)
    tests_left_out: Counter[str] = field(default_factory=Counter)
    tests_linked: int = 0
    assertions: int = 0
    records: Counter[str] = field(default_factory=Counter)
    unlinked: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object, with the share of looked-at tests that are linked."""
        looked_at = self.tests.total() - self.tests_left_out.total()
        return {
            "files": self.files,
            "lines": self.lines,
            "bad_files": dict(self.bad_files.most_common()),
            "tests": self.tests.total(),
            "tests_by_framework": dict(self.tests.most_common()),
            "tests_left_out": dict(self.tests_left_out.most_common()),
            "tests_linked": self.tests_linked,
            "share_of_tests_linked": round(self.tests_linked / looked_at, 4) if looked_at else None,
            "assertions": self.assertions,
            "records": self.records.total(),
            "records_by_link": dict(self.records.most_common()),
            "assertions_unlinked": dict(self.unlinked.most_common()),
        }


def added(counts: Iterable[Counts]) -> Counts:
    """Return the sum of several projects' counts."""
    total = Counts()
    for one in counts:
        for name, value in vars(one).items():
            # Counters and integers both add in place; a counter keeps what it holds.
            setattr(total, name, getattr(total, name) + value)
    return total


def described(account: Mapping[str, Any]) -> str:
    """Return the counts of all projects and of each as lines of text.

    Args:
        account: what `mine_corpus` returns.
    """
    width = max(len("project"), *map(len, account["projects"]))
    lines = [f"{'project':<{width}} {'files':>7} {'lines':>9} {'tests':>7} {'linked':>7} {'records':>8}"]
    for name, one in (*account["projects"].items(), ("all", account["total"])):
        share = one["share_of_tests_linked"]
        linked = "" if share is None else f"{share:.0%}"
        figures = f"{one['files']:>7,} {one['lines']:>9,} {one['tests']:>7,} {linked:>7} {one['records']:>8,}"
        lines.append(f"{name:<{width}} {figures}")
    for title, key in (("files", "bad_files"), ("tests", "tests_left_out"), ("assertions", "assertions_unlinked")):
        for reason, count in account["total"][key].items():
            lines.append(f"left out: {count:,} {title if count != 1 else title[:-1]}: {reason}")
    return "\n".join(lines)
