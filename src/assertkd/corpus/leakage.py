"""What tells leakage between splits: equal records, focal methods that are equal up to literals, and more in common."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache

from assertkd.java.regions import COMMENT, LITERAL
from assertkd.records import Record

_BLANKED = re.compile(
    rf"(?P<comment>{COMMENT})|(?P<literal>{LITERAL}|(?<![\w$])\d[\w.]*)|(?P<space>\s+)", re.DOTALL | re.MULTILINE
)
_ANNOTATION = re.compile(r"@[\w.]+(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))?")
_DECLARATION = re.compile(r"[\w$<>,.\[\]?& ]*?(?<![\w$])([\w$]+)\([^()]*\)(?:throws[\w$., ]*)?\{")
_BESIDE_PUNCTUATION = re.compile(r" (?=[^\w$ ])|(?<=[^\w$ ]) ")

TEST_FILE = "test_file"
"""Field of a record: the file of its test class, relative to its project."""


@lru_cache(maxsize=4096)
def blanked(code: str) -> str:
    """Return code without comments and layout, every literal as `0`."""

    def blank(match: re.Match[str]) -> str:
        return " 0 " if match.lastgroup == "literal" else " "

    return _BESIDE_PUNCTUATION.sub("", _folded(_BLANKED.sub(blank, code)))


def focal_key(record: Record) -> str:
    """Return the focal method, `blanked`. Two records with the same key have near-duplicate focal methods."""
    return blanked(record.focal_method)


def named_method(code: str) -> tuple[str, str]:
    """Return a method's name and its text from there on, `blanked`: modifiers and annotations tell no methods apart.

    The name is "" where no declaration comes first, as in a body without one; the text is all of it then.
    """
    text = _ANNOTATION.sub("", blanked(code)).strip()
    found = _DECLARATION.match(text)
    return ("", text) if found is None else (found[1], text[found.start(1) :])


def triple_key(record: Record) -> tuple[str, str, str]:
    """Return focal method, test and assertion with every run of white space as one blank."""
    return *input_key(record), _folded(record.assertion)


def input_key(record: Record) -> tuple[str, str]:
    """Return focal method and test with every run of white space as one blank."""
    return _folded(record.focal_method), _folded(record.test_method)


def test_class(record: Record) -> str | None:
    """Return what names a record's test class: its project, if there is one, and the class's file; None without one."""
    file = record.extra.get(TEST_FILE)
    return None if not file else f"{record.project or ''}/{file}"


def in_common(splits: Mapping[str, Sequence[Record]], training: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Return, for each split, how many records have something in common with a training record, by what it is.

    Projects and test classes are counted where records name them. A test is the same up to literals, comments and
    layout of all but its gap, an assertion up to its layout.
    """
    keys: dict[str, Callable[[Record], Hashable | None]] = {
        "project": lambda record: record.project or None,
        "test_class": test_class,
        "focal_method_up_to_literals": focal_key,
        "test_up_to_literals": lambda record: blanked(record.test_method),
        "assertion": lambda record: _folded(record.assertion),
    }
    counts = {split: {"records": len(records)} for split, records in splits.items()}
    for name, key in keys.items():
        known = {key(record) for record in training} - {None}
        for split, records in splits.items():
            counts[split][name] = sum(key(record) in known for record in records)
    return counts


def _folded(text: str) -> str:
    return " ".join(text.split())
