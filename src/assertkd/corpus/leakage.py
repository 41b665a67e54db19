"""Keys that tell leakage between splits: equal records, and focal methods that are equal up to literals."""

import re

from assertkd.java.regions import COMMENT, LITERAL
from assertkd.records import Record

_BLANKED = re.compile(
    rf"(?P<comment>{COMMENT})|(?P<literal>{LITERAL}|(?<![\w$])\d[\w.]*)|(?P<space>\s+)", re.DOTALL | re.MULTILINE
)
_ANNOTATION = re.compile(r"@[\w.]+(?:\s*\([^()]*(?:\([^()]*\)[^()]*)*\))?")
_METHOD_NAME = re.compile(r"([\w$]+)\s*\(")
_BESIDE_PUNCTUATION = re.compile(r" ?([^\w$ ]) ?")


def blanked(code: str) -> str:
    """Return code without comments and layout, every literal as `0`."""

    def blank(match: re.Match[str]) -> str:
        return " 0 " if match.lastgroup == "literal" else " "

    return _BESIDE_PUNCTUATION.sub(r"\1", _folded(_BLANKED.sub(blank, code)))


def focal_key(record: Record) -> str:
    """Return the focal method, `blanked`. Two records with the same key have near-duplicate focal methods."""
    return blanked(record.focal_method)


def method_name(method: str) -> str:
    """Return the name of a method by its declaration: what stands before the first bracket behind its annotations."""
    found = _METHOD_NAME.search(_ANNOTATION.sub(" ", method))
    return found[1] if found else ""


def triple_key(record: Record) -> tuple[str, str, str]:
    """Return focal method, test and assertion with every run of white space as one blank."""
    return *input_key(record), _folded(record.assertion)


def input_key(record: Record) -> tuple[str, str]:
    """Return focal method and test with every run of white space as one blank."""
    return _folded(record.focal_method), _folded(record.test_method)


def _folded(text: str) -> str:
    return " ".join(text.split())
