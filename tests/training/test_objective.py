"""The weights of an objective that follow earlier steps."""

import json

import pytest

from assertkd.losses.loss_plan import plan_loss
from assertkd.settings import LossSettings
from assertkd.training.objective import LossWeights
from assertkd.training.report import loss_summary

NORMS = {"ce": 0.5, "kl": 0.02, "semantic": 4.0}
VALUES = dict.fromkeys(NORMS, 1.0)


def weights_of(**loss: object) -> LossWeights:
    settings = {"components": tuple(NORMS), "weights": (0.5, 0.3, 0.2), "text": {"start": 0.0}} | loss
    return LossWeights(plan_loss(LossSettings(**settings)), {}, 10, 0.0, 1)


def test_weights_are_shares_of_the_gradient_norm() -> None:
    weights = weights_of(normalise="gradient", semantic={"scale": 5.0})
    weights.update(VALUES, NORMS)
    at = weights.at(0)
    parts = {"ce": at["ce"] * 0.5, "kl": at["kl"] * 0.02, "semantic": at["semantic"] * 5.0 * 4.0}
    total = sum(parts.values())
    shares = {name: part / total for name, part in parts.items()}
    assert shares == pytest.approx({"ce": 0.5, "kl": 0.3, "semantic": 0.2})
    # As large as without division.
    assert total == pytest.approx(0.5 * 0.5 + 0.3 * 0.02 + 0.2 * 5.0 * 4.0)


def test_a_component_without_a_norm_so_far_leaves_the_size_of_the_others() -> None:
    weights = weights_of(normalise="gradient")
    assert sum(weights.at(0).values()) == pytest.approx(1.0), "no norm is known"
    weights.update(VALUES, NORMS | {"semantic": 0.0})
    at = weights.at(0)
    size = 0.5 * 0.5 + 0.3 * 0.02
    assert (at["ce"] * 0.5, at["kl"] * 0.02) == pytest.approx((0.5 * size, 0.3 * size))


def test_the_norms_of_earlier_steps_are_part_of_the_state() -> None:
    whole, restored = weights_of(normalise="gradient"), weights_of(normalise="gradient")
    for factor in (1.0, 3.0, 7.0):
        whole.update(VALUES, {name: factor * norm for name, norm in NORMS.items()})
    restored.restore(json.loads(json.dumps(whole.state())))
    assert restored.at(4) == whole.at(4)
    assert weights_of(normalise="gradient").at(4) != whole.at(4)


def test_without_normalisation_nothing_is_followed() -> None:
    weights = weights_of()
    weights.update(VALUES, NORMS)
    assert not weights.follows_values
    assert weights.at(0) == pytest.approx({"ce": 0.5, "kl": 0.3, "semantic": 0.2, "on_policy": 0.0})


def test_the_summary_has_the_weight_that_a_text_component_begins_with() -> None:
    plan = plan_loss(LossSettings(components=("ce", "pans"), weights=(3.0, 1.0), text={"start": 0.5}))
    summary = loss_summary(plan, {"ce": [0.2], "pans": [0.7]})
    assert summary["pans"]["weight"] == {"start": 0.25, "end": 0.25}
    assert summary["ce"]["weight"] == {"start": 1.0, "end": 0.75}
