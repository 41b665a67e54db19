"""Running means of loss components, against numpy's."""

import json

import numpy as np
import pytest

from assertkd.losses.running_mean import MOMENTUM, SMALLEST, RunningMeans

WARMUP = 100


def values_of(count: int) -> list[float]:
    return [float(value) for value in np.random.default_rng(5).uniform(0.5, 3.0, count)]


def test_the_first_values_have_a_plain_mean() -> None:
    means, values = RunningMeans({}), values_of(WARMUP)
    for value in values:
        means.update({"kl": value})
    assert means.means["kl"] == pytest.approx(np.mean(values), rel=1e-12)


def test_later_values_have_an_exponential_mean() -> None:
    means, values = RunningMeans({}), values_of(WARMUP + 40)
    for value in values:
        means.update({"kl": value})
    ages = np.arange(39, -1, -1)
    expected = MOMENTUM**40 * np.mean(values[:WARMUP]) + (1 - MOMENTUM) * np.sum(MOMENTUM**ages * values[WARMUP:])
    assert means.means["kl"] == pytest.approx(expected, rel=1e-12)


def test_a_value_of_zero_stands_for_a_component_that_was_not_computed() -> None:
    means = RunningMeans({"ce": 2.0, "semantic": 0.0})
    means.update({"ce": 4.0, "semantic": 0.0})
    means.update({"ce": 0.0, "semantic": 5.0})
    assert means.means == {"ce": 3.0, "semantic": 5.0}


def test_weights_are_divided_by_the_size_of_the_mean() -> None:
    means = RunningMeans({"ce": 4.0, "risk": -0.5, "tiny": 1e-12})
    divided = means.divide({"ce": 1.0, "risk": 1.0, "tiny": 1.0, "new": 0.3})
    assert divided == {"ce": 0.25, "risk": 2.0, "tiny": 1.0 / SMALLEST, "new": 0.3}


def test_a_restored_mean_goes_on_to_the_last_bit() -> None:
    values = values_of(WARMUP + 20)
    whole, first = RunningMeans({}), RunningMeans({})
    for value in values[:90]:
        whole.update({"kl": value})
        first.update({"kl": value})
    second = RunningMeans({"kl": 9.0})
    second.restore(json.loads(json.dumps(first.state())))
    for value in values[90:]:
        whole.update({"kl": value})
        second.update({"kl": value})
    assert second.state() == whole.state()
