"""Weights over training."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertkd.losses.loss_plan import ComponentPlan, LossPlan
from assertkd.losses.schedule import START_AND_END, progress
from assertkd.settings.loss import ORIGINAL

WEIGHT = st.floats(0, 100)


def interpolate(start: float, end: float, share: float) -> float:
    plan = LossPlan(components=(ComponentPlan(name="ce", start=start, end=end),), sum_to_one=False)
    return plan.weights(share)["ce"]


def normalised(weights: dict[str, float]) -> dict[str, float]:
    components = [ComponentPlan(name=name, start=weight, end=weight) for name, weight in weights.items()]
    return LossPlan(components=tuple(components), sum_to_one=True).weights(0.3)


@pytest.mark.parametrize(
    ("step", "steps", "share"), [(0, 11, 0.0), (5, 11, 0.5), (10, 11, 1.0), (0, 1, 0.0), (0, 2, 0.0), (1, 2, 1.0)]
)
def test_progress(step: int, steps: int, share: float) -> None:
    assert progress(step, steps) == share


def test_the_published_weights() -> None:
    # The start and end that the original pipeline documents, and half of the way between them. It has no `uld`.
    published = {
        "uld": (0.6, 0.475, 0.35),
        "ce": (0.35, 0.30, 0.25),
        "kl": (0.6, 0.475, 0.35),
        "pans": (0.05, 0.15, 0.25),
        "ast": (0.0, 0.075, 0.15),
        "focal": (0.3, 0.275, 0.25),
        "jsd": (0.6, 0.475, 0.35),
        "semantic": (0.05, 0.15, 0.25),
        "contrastive": (0.1, 0.125, 0.15),
    }
    table = START_AND_END | {name: tuple(ends.values()) for name, ends in ORIGINAL["schedule"].items()}
    found = {
        name: tuple(interpolate(start, end, share) for share in (0.0, 0.5, 1.0)) for name, (start, end) in table.items()
    }
    assert found == {name: pytest.approx(weights) for name, weights in published.items()}


@given(WEIGHT, WEIGHT, st.integers(2, 1000))
def test_interpolation_is_linear_between_its_ends(start: float, end: float, steps: int) -> None:
    values = [interpolate(start, end, progress(step, steps)) for step in range(steps)]
    assert values[0] == start
    assert values[-1] == pytest.approx(end)
    assert all(min(start, end) - 1e-9 <= value <= max(start, end) + 1e-9 for value in values)
    gaps = [after - before for before, after in pairwise(values)]
    assert gaps == pytest.approx([(end - start) / (steps - 1)] * len(gaps), abs=1e-9)


@given(st.dictionaries(st.text(max_size=3), st.floats(1e-6, 1e6), min_size=1))
def test_normalised_weights_sum_to_1_in_the_same_ratio(weights: dict[str, float]) -> None:
    result = normalised(weights)
    assert list(result) == list(weights)
    assert sum(result.values()) == pytest.approx(1.0)
    first = next(iter(weights))
    for name, weight in weights.items():
        assert result[name] * weights[first] == pytest.approx(weight * result[first])
