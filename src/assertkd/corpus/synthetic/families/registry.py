"""The list of families, filled by the `family` decorator."""

from collections.abc import Callable
from dataclasses import dataclass

from assertkd.corpus.synthetic.cast import Cast
from assertkd.corpus.synthetic.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Family:
    """A family of behaviour: its name, its share of the records relative to the others, and its function."""

    name: str
    weight: float
    scenario: Callable[[Cast], Scenario]


FAMILIES: list[Family] = []


def family(weight: float = 1.0) -> Callable[[Callable[[Cast], Scenario]], Callable[[Cast], Scenario]]:
    """Register the decorated function as a family under its own name."""

    def register(scenario: Callable[[Cast], Scenario]) -> Callable[[Cast], Scenario]:
        FAMILIES.append(Family(scenario.__name__, weight, scenario))
        return scenario

    return register
