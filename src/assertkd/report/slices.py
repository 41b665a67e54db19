"""Exact match on parts of the test split: kinds of assertion, projects, lengths of the reference."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assertkd.evaluation.significance import Interval
from assertkd.report.results import Model

LENGTHS = {7: "1–7", 10: "8–10", 15: "11–15", 25: "16–25", math.inf: "26 and more"}
"""Upper bounds of the buckets of reference lengths, in Java tokens, and the buckets' names."""

FEW = 20
"""Slices with fewer examples say little and are shown faint."""

MOST_SLICES = 30
"""Most rows of a table; smaller slices are left out."""

Z = 1.959964
"""Normal quantile of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of the test split: its name, number of examples, and every variant's exact match on it, a share."""

    name: str
    n: int
    cells: list[Interval]


@dataclass(frozen=True, slots=True)
class Slicing:
    """One partition of the test split, largest part first (lengths: shortest first); `part` names what a part is."""

    title: str
    part: str
    slices: list[Slice]


def slicings(models: Sequence[Model], variants: Sequence[str]) -> list[Slicing]:
    """Return exact match by kind of assertion, by project (where there are two or more) and by length of the reference.

    Args:
        models: every evaluated model, all on the same examples; seeds of a variant are averaged.
        variants: of the cells, in their order.
    """
    seeds = Counter(model.variant for model in models)
    predictions = [(model.variant, list(model.predictions())) for model in models]

    def slices(part: Callable[[Mapping[str, Any]], str], order: Sequence[str] = ()) -> list[Slice]:
        sizes = Counter(part(example) for _, examples in predictions[:1] for example in examples)
        hits: dict[tuple[str, str], float] = defaultdict(float)
        for variant, examples in predictions:
            for example in examples:
                hits[variant, part(example)] += example["exact_match"]
        names = sorted(sizes, key=order.index if order else lambda name: (-sizes[name], name))[:MOST_SLICES]
        return [
            Slice(name, sizes[name], [wilson(hits[one, name] / seeds[one], sizes[name]) for one in variants])
            for name in names
        ]

    partitions = [
        Slicing("Kind of assertion", "Assertion", slices(lambda example: str(example["kind"]))),
        Slicing("Project", "Project", slices(lambda example: str(example.get("project") or "unnamed"))),
        Slicing("Length of the reference, Java tokens", "Tokens", slices(length_of, list(LENGTHS.values()))),
    ]
    return [slicing for slicing in partitions if len(slicing.slices) > 1]


def length_of(example: Mapping[str, Any]) -> str:
    """Return the bucket of `LENGTHS` that an example's reference falls into."""
    return next(name for bound, name in LENGTHS.items() if example["target_tokens"] <= bound)


def wilson(hits: float, n: int) -> Interval:
    """Return the share of `hits` in `n` with its 95 % score interval (Wilson 1927)."""
    share = hits / n
    centre, half_width = share + Z**2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    return Interval(share, max(0.0, (centre - half_width) / scale), min(1.0, (centre + half_width) / scale))
