"""The exception for faults of the user's: what is wrong, and what to do about it."""

from collections.abc import Sequence
from difflib import get_close_matches


class UserError(Exception):
    """A fault that the user can correct. It reaches the terminal as two lines, never as a traceback.

    Args:
        problem: what is wrong, naming the file, line or key, and what was expected.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}"


def nearest(name: str, candidates: Sequence[str]) -> str:
    """Return ` (did you mean `…`?)` with the candidate that is most similar to `name`; empty if none is similar."""
    matches = get_close_matches(name, [str(candidate) for candidate in candidates], n=1, cutoff=0.5)
    return f" (did you mean `{matches[0]}`?)" if matches else ""
