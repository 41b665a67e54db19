"""Families of behaviour, grouped by subject; importing a module registers its families.

A new family is a function from a `NameSource` to a `Scenario` under the `family` decorator.
"""

from assertkd.synthetic.families import (  # noqa: F401
    accumulators,
    arithmetic,
    arrays,
    identity,
    lists,
    maps,
    presence,
    queues,
    ranges,
    reading,
    strings,
    switches,
)
from assertkd.synthetic.families.registry import FAMILIES, Family, families_named

__all__ = ["FAMILIES", "Family", "families_named"]
