"""The forms in which tests mark the place of their assertion, and texts that look like such a mark."""

import re
from dataclasses import dataclass

from assertkd.java.regions import regions
from assertkd.records import MARKER

OWN = "marker"
"""The form that the program itself writes."""
LINE_COMMENT = "line comment"
TAG = "tag"

_NAME = r"assert(?:ion)?[ _-]?place[ _-]?holder"
_TAG = rf"<\s*{_NAME}\s*>"
_FORMS = {
    LINE_COMMENT: re.compile(rf"//\s*{_TAG}", re.IGNORECASE),
    "block comment": re.compile(rf"/\*+\s*{_TAG}\s*\*/", re.IGNORECASE),
    "string": re.compile(rf'"\s*{_TAG}\s*"', re.IGNORECASE),
    TAG: re.compile(rf"(?<![\w$.]){_TAG}", re.IGNORECASE),
}
"""Form to its pattern: `//<ASSERTION_PLACEHOLDER>`, `/* <ASSERTION_PLACEHOLDER> */`, `"<AssertPlaceHolder>"` (ATLAS),
`<AssertPlaceHolder>`; in capitals or not, with blanks or not."""
_SEMICOLON = re.compile(r"\s*;")

_OF_REGIONS = (LINE_COMMENT, "block comment", "string")
_NAMED = re.compile(_NAME, re.IGNORECASE)
_NAMED_IN_CODE = re.compile(rf"[\[{{<%$]\s*{_NAME}|\bASSERT(?:ION)?_?PLACE_?HOLDER\b", re.IGNORECASE)
_MASK = re.compile(
    r"<extra_id_\d+>|<mask>|\[MASK\]|<\s*asserts?(?:ion)?s?\s*>|<fill(?:[ _-]?(?:me|here))?>", re.IGNORECASE
)
_MASK_IN_CODE = re.compile(
    r"(?<![\w$.\])])(?:<extra_id_\d+>|<mask>|<MASK>|\[MASK\]|<assert(?:ion)?s?>|<ASSERT(?:ION)?S?>"
    r"|<fill(?:[ _-]?(?:me|here))?>|<FILL(?:[ _-]?(?:ME|HERE))?>)"
)
"""In code a mask follows no name and is not capitalised: `List<Assertion>` is a type, and `bits[MASK]` an element."""


@dataclass(frozen=True, slots=True)
class PlaceholderMatch:
    """A mark of the assertion's place: its form, and where it stands, a semicolon behind it included."""

    form: str
    start: int
    end: int


def find_placeholders(test: str) -> tuple[list[PlaceholderMatch], list[str]]:
    """Return the marks of the assertion's place in a test, and the kinds of what only looks like one."""
    found: list[PlaceholderMatch] = []
    alike: list[str] = []
    for region in regions(test):
        text = test[region.start : region.end]
        if region.kind == "code":
            found += [_found(test, TAG, region.start, mark) for mark in _FORMS[TAG].finditer(text)]
            rest = _FORMS[TAG].sub("", text)
            alike += ["name in code"] * _is_named_in_code(rest)
            alike += ["mask of another kind"] * bool(_MASK_IN_CODE.search(rest))
            continue
        form, match = next(((form, match) for form in _OF_REGIONS if (match := _FORMS[form].match(text))), ("", None))
        is_operand = test[: region.start].rstrip().endswith(("(", ",", "=", "+"))
        if match is not None and form == LINE_COMMENT:
            own = OWN if test.startswith(MARKER, region.start) else form
            found.append(PlaceholderMatch(own, region.start, region.start + match.end()))
        elif match is not None and match.end() == len(text) and not is_operand:
            found.append(_found(test, form, region.start, match))
        elif _NAMED.search(text):
            alike.append(f"name in a {'comment' if region.kind == 'comment' else 'string'}")
        elif region.kind == "comment" and _MASK.search(text):
            alike.append("mask of another kind")
    return found, alike


def around_marker(test: str, mark: PlaceholderMatch) -> tuple[str, str]:
    """Return what stands before and behind `MARKER` when it replaces a mark.

    Text behind a line comment's mark would become code when an assertion replaces the marker: it goes into a line
    comment of its own.
    """
    if mark.form not in (OWN, LINE_COMMENT):
        return _around_own_line(test, mark.start, mark.end)
    before = test[: mark.start]
    text, line_end, after = test[mark.end :].partition("\n")
    if text.strip() in ("", ";") or text.lstrip().startswith("//"):
        return before, text + line_end + after
    line = before.rpartition("\n")[2]
    indentation = line[: len(line) - len(line.lstrip(" \t"))]
    return before, f"\n{indentation}// {text.strip()}{line_end}{after}"


def place_marker(test: str, start: int, end: int) -> str:
    """Return a test with `MARKER` in place of a stretch, on a line of its own: it is a line comment."""
    return MARKER.join(_around_own_line(test, start, end))


def _around_own_line(test: str, start: int, end: int) -> tuple[str, str]:
    before, after = test[:start], test[end:]
    line = before.rpartition("\n")[2]
    indentation = inner = line[: len(line) - len(line.lstrip(" \t"))]
    if line.strip():
        inner += "    " * ("{" in line)
        before = f"{before.rstrip()}\n{inner}"
    if after.strip() and not after.lstrip(" \t").startswith("\n"):
        after = after.lstrip(" \t")
        after = f"\n{indentation if after.startswith('}') else inner}{after}"
    return before, after


def _is_named_in_code(text: str) -> bool:
    # `assertPlaceholder(x)` is a method of somebody's.
    return any(not text[match.end() :].lstrip().startswith("(") for match in _NAMED_IN_CODE.finditer(text))


def _found(test: str, form: str, offset: int, match: re.Match[str]) -> PlaceholderMatch:
    end = offset + match.end()
    semicolon = _SEMICOLON.match(test, end)
    return PlaceholderMatch(form, offset + match.start(), end if semicolon is None else semicolon.end())
