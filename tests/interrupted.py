"""Trainings that end in the middle of a step, as SIGKILL would end them."""

from typing import Any

import pytest

from assertkd.training import trainer
from assertkd.training.loss_term import StepContext


class Killed(BaseException):
    """Ends a training as SIGKILL would: nothing is saved, nothing is said."""


def kill_at(steps: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training end with `Killed` at each of these steps, once."""
    left, accumulate = set(steps), trainer.accumulate

    def disturbed(terms: Any, context: StepContext) -> Any:
        if context.step in left:
            left.discard(context.step)
            raise Killed
        return accumulate(terms, context)

    monkeypatch.setattr(trainer, "accumulate", disturbed)
