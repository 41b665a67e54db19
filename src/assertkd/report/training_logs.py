"""The tables that a training logs, and the shares of its loss components in the gradient."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def read_rows(*places: Path) -> list[dict[str, str]]:
    """Return the complete rows of the first table that exists, cells by column; none where no table exists."""
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        # A last row that is being written lacks cells.
        return [row for row in csv.DictReader(handle) if None not in row.values()]


def column(rows: Sequence[Mapping[str, str]], name: str) -> Floats:
    """Return a column as numbers, shape (rows,); NaN where a cell is empty or missing."""
    return np.array([float(row.get(name) or "nan") for row in rows])


def gradient_shares(
    weights: Mapping[str, Floats], scales: Mapping[str, float], norms: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Return each component's share of the summed contributions at every step, in [0, 1].

    A contribution is weight times scale times gradient norm at the student's logits.

    Args:
        weights: component to its weights, shape (steps,).
        scales: component to its scale; one that is missing makes all shares NaN.
        norms: component to its gradient norms, shape (steps,).

    Returns:
        Component to shares, shape (steps,); NaN where the sum is 0 or unknown.
    """
    contributions = {name: weights[name] * scales.get(name, np.nan) * norms[name] for name in weights}
    total = np.sum(list(contributions.values()), axis=0)
    return {
        name: np.divide(one, total, out=np.full_like(total, np.nan), where=total > 0)
        for name, one in contributions.items()
    }
