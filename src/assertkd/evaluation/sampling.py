"""A sample of a sequence at even distances."""

from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")


def evenly_spaced(values: Sequence[Value], count: int) -> list[Value]:
    """Return `count` of the values at even distances, or all where there are no more."""
    if count >= len(values):
        return list(values)
    return [values[index * len(values) // count] for index in range(count)]
