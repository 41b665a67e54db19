"""The loss on features, against torch's own losses and finite differences."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch.nn import functional

from assertkd.errors import UserError
from assertkd.losses.combine import combine
from assertkd.losses.hidden import hidden
from assertkd.losses.loss_plan import plan_loss
from assertkd.losses.target_batch import TargetBatch
from assertkd.losses.without_effect import without_effect
from assertkd.settings import LossSettings
from assertkd.settings.loss import HiddenSettings

Distance = Literal["cosine", "mse"]
DISTANCES: tuple[Distance, ...] = ("cosine", "mse")


def draw(seed: int) -> torch.Tensor:
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def batch() -> TargetBatch:
    """Seven positions, two pairs of layers of width five."""
    own = draw(1).requires_grad_(), draw(2).requires_grad_()
    return TargetBatch(draw(0), torch.arange(7) % 5, None, 1.0, features=own, teacher_features=(draw(3), 4 * draw(4)))


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_value_is_that_of_torchs_losses(batch: TargetBatch, distance: Distance) -> None:
    one = torch.ones(7, dtype=torch.float64)
    expected = [
        functional.cosine_embedding_loss(own.detach(), taught, one, reduction="sum")
        if distance == "cosine"
        else functional.mse_loss(own.detach(), taught, reduction="sum") / 5
        for own, taught in zip(batch.features, batch.teacher_features, strict=True)
    ]
    assert float(hidden(batch, distance).detach()) == pytest.approx(float(sum(expected)) / 2, rel=1e-5)


def test_the_cosine_is_half_the_published_distance_of_normalised_vectors(batch: TargetBatch) -> None:
    total = 0.0
    for own, taught in zip(batch.features, batch.teacher_features, strict=True):
        own = own.detach()
        total += float((own / own.norm(dim=1, keepdim=True) - taught / taught.norm(dim=1, keepdim=True)).square().sum())
    assert float(hidden(batch, "cosine").detach()) == pytest.approx(total / 2 / 2, rel=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_gradient_is_that_of_finite_differences(batch: TargetBatch, distance: Distance) -> None:
    def value(*features: torch.Tensor) -> torch.Tensor:
        return hidden(replace(batch, features=features), distance)

    value(*batch.features).backward()
    for layer, own in enumerate(batch.features):
        assert own.grad is not None
        for place in ((0, 0), (3, 4), (6, 2)):
            shifted = []
            for step in (1e-2, -1e-2):
                features = [one.detach().clone() for one in batch.features]
                features[layer][place] += step
                shifted.append(float(value(*features)))
            assert float(own.grad[place]) == pytest.approx((shifted[0] - shifted[1]) / 2e-2, rel=2e-2, abs=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_features_have_the_value_0(batch: TargetBatch, distance: Distance) -> None:
    same = replace(batch, teacher_features=tuple(own.detach() for own in batch.features))
    assert float(hidden(same, distance).detach()) == pytest.approx(0.0, abs=1e-5)


def test_its_gradient_ends_at_the_features(batch: TargetBatch) -> None:
    plan = plan_loss(LossSettings(components=("ce", "hidden"), weights=(0.5, 0.5)))
    logits = batch.student_logits.clone().requires_grad_()
    single = replace(batch, student_logits=logits)
    result = combine(plan, single, plan.weights(0.0), tokens=7, token_weight=7, norms=True)
    result.total.backward()
    own = batch.features[1].grad
    assert own is not None and logits.grad is not None
    (expected,) = torch.autograd.grad(hidden(single, "cosine") * 0.5 / 7, batch.features[1])
    torch.testing.assert_close(own, expected)
    assert float(result.squared_norms["hidden"]) > 0


def test_pairs_of_layers() -> None:
    evenly = HiddenSettings()
    assert evenly.pairs(4, 4) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert evenly.pairs(3, 12) == [(0, 3), (1, 7), (2, 11)], "TinyBERT's uniform strategy"
    assert evenly.pairs(2, 1) == [(0, 0), (1, 0)]
    assert evenly.pairs(3, 4)[-1] == (2, 3)
    assert HiddenSettings(student_layers=(2,)).pairs(3, 12) == [(2, 11)]
    assert HiddenSettings(student_layers=(1, 0), teacher_layers=(5, 5)).pairs(2, 6) == [(1, 5), (0, 5)]


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({"student_layers": [0, 2, 3]}, "the student's decoder has no layer 2, 3: its layers are 0 to 1"),
        ({"teacher_layers": [0, 4]}, "the teacher's decoder has no layer 4: its layers are 0 to 3"),
        ({"teacher_layers": [3]}, "2 of the student's layers learn from 1 of the teacher's"),
        (
            {"student_layers": [2], "teacher_layers": [9, 0]},
            "no layer 2.*no layer 9.*1 of the student's layers learn from 2 of the teacher's",
        ),
    ],
)
def test_layers_that_do_not_exist_are_named(layers: dict[str, list[int]], said: str) -> None:
    with pytest.raises(UserError, match=f"^loss.hidden: .*{said}"):
        HiddenSettings.model_validate(layers).pairs(2, 4)


def test_its_options_have_an_effect_with_the_component_alone() -> None:
    configured = {"hidden": {"distance": "mse", "teacher_layers": [1]}}
    idle = LossSettings.model_validate({"components": ["ce"]} | configured)
    used = LossSettings.model_validate({"components": ["ce", "hidden"]} | configured)
    assert [(key, need) for key, _, need in without_effect(idle, configured)] == [
        ("hidden.distance", "the component hidden"),
        ("hidden.teacher_layers", "the component hidden"),
    ]
    assert [*without_effect(used, configured)] == []
    assert "hidden" not in plan_loss(idle).model_dump()
