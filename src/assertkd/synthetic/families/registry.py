"""The list of families, filled by the `family` decorator."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from assertkd.errors import UserError, nearest
from assertkd.synthetic.name_source import NameSource
from assertkd.synthetic.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Family:
    """A family of behaviour: its name, its share of the records relative to the others, and its function."""

    name: str
    weight: float
    scenario: Callable[[NameSource], Scenario]


FAMILIES: list[Family] = []


def family(weight: float = 1.0) -> Callable[[Callable[[NameSource], Scenario]], Callable[[NameSource], Scenario]]:
    """Register the decorated function as a family under its own name."""

    def register(scenario: Callable[[NameSource], Scenario]) -> Callable[[NameSource], Scenario]:
        FAMILIES.append(Family(scenario.__name__, weight, scenario))
        return scenario

    return register


def families_named(names: Collection[str]) -> list[Family]:
    """Return the families of these names, in the order of `FAMILIES`.

    Raises:
        UserError: there is no family of a name, or no name is given.
    """
    known = [each.name for each in FAMILIES]
    for name in names:
        if name not in known:
            raise UserError(
                f"data.embedded.families: {name!r} is no family{nearest(name, known)}",
                f"Choose from: {', '.join(sorted(known))}.",
            )
    if not names:
        raise UserError("data.embedded.families: names no family", "Name some, or leave the key out for all of them.")
    return [each for each in FAMILIES if each.name in names]
