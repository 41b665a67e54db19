"""The project's own exception: what is wrong, and what to do about it."""


class UserError(Exception):
    """A fault that the user can mend. It reaches the terminal as two lines, never as a traceback.

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
