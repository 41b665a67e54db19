"""AdamW's groups and the shape of the learning rate."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_linear_schedule_with_warmup

from assertkd.models.distillable import DistillableModel
from assertkd.training.optimizer import SMALLEST_SCALE, adamw, lr_factor, warmup_length


@pytest.mark.parametrize(
    ("given_steps", "steps", "expected"),
    [(0, 100, 15), (0, 1000, 150), (0, 3, 1), (7, 100, 7), (0, 1, 1), (200, 100, 200)],
)
def test_warm_up_is_15_percent_where_none_is_given(given_steps: int, steps: int, expected: int) -> None:
    assert warmup_length(given_steps, steps) == expected


def test_the_learning_rate_by_hand() -> None:
    factors = [lr_factor(step, 2, 6) for step in range(6)]
    assert factors == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]


@given(st.integers(1, 50), st.integers(1, 200))
def test_the_learning_rate_rises_to_its_peak_and_falls(warmup: int, steps: int) -> None:
    factors = [lr_factor(step, warmup, steps) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors), "no step is wasted"
    if warmup <= steps:
        assert factors[warmup - 1] == 1.0
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_the_decay_is_that_of_transformers() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    reference = get_linear_schedule_with_warmup(optimizer, 5, 40)
    found = []
    for _ in range(40):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    # Theirs starts at 0; here the first step takes what they take at the second.
    assert [lr_factor(step, 5, 40) for step in range(5)] == pytest.approx(found[1:6])
    assert [lr_factor(step, 5, 40) for step in range(5, 40)] == pytest.approx(found[5:])


def test_norms_are_not_decayed_and_shared_weights_count_once(
    tiny_t5: Callable[..., DistillableModel],
) -> None:
    model = tiny_t5()
    optimizer = adamw(model, 0.1, 0.02)
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.02, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert all("layer_norm" in names[id(parameter)] for parameter in plain["params"])
    assert not any("layer_norm" in names[id(parameter)] for parameter in decayed["params"])
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == set(names)
    assert sum(p.numel() for group in optimizer.param_groups for p in group["params"]) == sum(
        p.numel() for p in model.parameters()
    )


def test_decay_shrinks_weights_alone() -> None:
    layer = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.ones_(layer.bias)
    optimizer = adamw(layer, lr=0.1, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert layer.weight.tolist() == [[pytest.approx(0.95)] * 2] * 2
    assert layer.bias.tolist() == [1.0, 1.0]


def test_relative_rates_are_those_of_the_weights_sizes(tiny_t5: Callable[..., DistillableModel]) -> None:
    model = tiny_t5()
    optimizer = adamw(model, 0.01, 0.0, relative=True)
    scales = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    for parameter in model.parameters():
        values = parameter.detach().double()
        assert scales[id(parameter)] == pytest.approx(float((values**2).mean() ** 0.5), rel=1e-5)
    assert max(scales.values()) > 10 * min(scales.values())
    assert all(group["lr"] == pytest.approx(0.01 * group["scale"]) for group in optimizer.param_groups)


def test_a_relative_first_step_moves_every_weight_by_the_same_share() -> None:
    large, small, zero = (torch.nn.Parameter(torch.full((2, 2), value)) for value in (10.0, 0.1, 0.0))
    layer = torch.nn.ParameterList([large, small, zero])
    optimizer = adamw(layer, lr=0.01, weight_decay=0.0, relative=True)
    for parameter in layer:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    # Adam's first step is the learning rate itself.
    assert large.tolist() == [[pytest.approx(9.9)] * 2] * 2
    assert small.tolist() == [[pytest.approx(0.099)] * 2] * 2
    assert zero.tolist() == [[pytest.approx(-0.01 * SMALLEST_SCALE)] * 2] * 2
