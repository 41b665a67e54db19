"""The exception for faults of the user's: what is wrong, and what to do about it."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal obeys in place of showing them, but tabs and line ends; and halves of surrogate pairs."""


def printable(text: str) -> str:
    """Return a text with what a terminal would obey as escapes: `\\x1b` for the control character."""
    return _OBEYED.sub(lambda match: ascii(match[0])[1:-1], text)


class UserError(Exception):
    """A fault that the user can correct. It reaches the terminal as two lines, printable, never as a traceback.

    Args:
        problem: what is wrong, naming the file, line or key, and what was expected.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = printable(problem)
        self.remedy = printable(remedy)
        super().__init__(self.problem, self.remedy)

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}"


def nearest(name: str, candidates: Sequence[str]) -> str:
    """Return ` (did you mean `…`?)` with the candidate that is most similar to `name`; empty if none is similar."""
    matches = get_close_matches(name, [str(candidate) for candidate in candidates], n=1, cutoff=0.5)
    return f" (did you mean `{matches[0]}`?)" if matches else ""
