"""Exact match on parts of the test split: kinds of assertion, projects, lengths of the reference."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from assertkd.report.results import Model

LENGTHS = (7, 10, 15, 25)
"""Upper bounds of the buckets of reference lengths, in Java tokens; the last bucket has none."""

FEW = 20
"""Slices with fewer examples say little and are shown faint."""

MOST_SLICES = 30
"""Most rows of a table; smaller slices are left out."""

Z = 1.959964
"""Normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A variant's exact match on a slice, a share, with its interval (Wilson 1927)."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of the test split: its name, number of examples, and a cell a variant (None: not evaluated)."""

    name: str
    n: int
    cells: list[Cell | None]


@dataclass(frozen=True, slots=True)
class Slicing:
    """One partition of the test split, largest part first (lengths: shortest first); `part` names what a part is."""

    title: str
    part: str
    slices: list[Slice]


def slicings(models: Sequence[Model], variants: Sequence[str]) -> list[Slicing]:
    """Return exact match by kind of assertion, by project (where there are two or more) and by length of the reference.

    Args:
        models: every evaluated model; seeds of a variant are averaged.
        variants: of the cells, in their order.
    """
    examples_of = {variant: [list(m.predictions()) for m in models if m.variant == variant] for variant in variants}
    partitions = [
        Slicing("Kind of assertion", "Assertion", _slices(examples_of, lambda example: str(example["kind"]))),
        Slicing("Project", "Project", _slices(examples_of, lambda example: str(example.get("project") or "unnamed"))),
        Slicing("Length of the reference, Java tokens", "Tokens", _slices(examples_of, length_of, ordered=True)),
    ]
    return [slicing for slicing in partitions if len(slicing.slices) > 1]


def length_of(example: Mapping[str, Any]) -> str:
    """Return the bucket of `LENGTHS` that an example's reference falls into."""
    count, lowest = example["target_tokens"], 1
    for bound in LENGTHS:
        if count <= bound:
            return f"{lowest}–{bound}"
        lowest = bound + 1
    return f"{lowest} and more"


def wilson(hits: float, n: int) -> Cell:
    """Return the share of `hits` in `n` with its 95 % score interval (Wilson 1927)."""
    share = hits / n
    centre, half_width = share + Z**2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    return Cell(share, max(0.0, (centre - half_width) / scale), min(1.0, (centre + half_width) / scale))


def _slices(
    examples_of: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]],
    part: Callable[[Mapping[str, Any]], str],
    *,
    ordered: bool = False,
) -> list[Slice]:
    sizes: dict[str, int] = {}
    hits: dict[tuple[str, str], list[float]] = {}
    for variant, seeds in examples_of.items():
        for examples in seeds:
            counted: dict[str, float] = {}
            size: dict[str, int] = {}
            for example in examples:
                name = part(example)
                size[name] = size.get(name, 0) + 1
                counted[name] = counted.get(name, 0.0) + example["exact_match"]
            sizes |= size
            for name, count in counted.items():
                hits.setdefault((variant, name), []).append(count)
    if ordered:
        names = sorted(sizes, key=lambda name: int("".join(filter(str.isdigit, name.split("–")[0]))))
    else:
        names = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_SLICES]
    return [
        Slice(
            name,
            sizes[name],
            [
                wilson(fmean(hits[variant, name]), sizes[name]) if (variant, name) in hits else None
                for variant in examples_of
            ],
        )
        for name in names
    ]
