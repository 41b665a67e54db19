"""Norms of parts and whole, against torch's own, bit for bit."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from assertkd.models.distillable import DistillableModel
from assertkd.training.optimizer import GradientNorms


@pytest.fixture
def model(tiny_t5: Callable[..., DistillableModel]) -> DistillableModel:
    """A model with gradients of very different sizes."""
    model = tiny_t5()
    generator = torch.Generator().manual_seed(0)
    for number, weight in enumerate(model.parameters()):
        weight.grad = torch.randn(weight.shape, generator=generator) * 10.0 ** (number % 5 - 3)
    return model


def test_the_norms_are_torchs(model: DistillableModel) -> None:
    norms = GradientNorms(model, model.parameter_groups())
    assert norms.names == ["encoder", "decoder", "total"]
    parts = [model.network.encoder, model.network.decoder, model]
    expected = [nn.utils.get_total_norm([w.grad for w in part.parameters() if w.grad is not None]) for part in parts]
    assert [float(norm) for norm in norms.measure()] == [float(norm) for norm in expected]
    assert sum(weight.numel() for weight in norms.weights) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("longest", [0.5, 1e9])
def test_clipping_is_torchs(model: DistillableModel, longest: float) -> None:
    norms = GradientNorms(model, {})
    before = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    norms.clip(norms.measure()[-1], longest)
    clipped = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    for weight, gradient in zip(model.parameters(), before, strict=True):
        weight.grad = gradient
    nn.utils.clip_grad_norm_(model.parameters(), longest)
    assert all(torch.equal(mine, weight.grad) for mine, weight in zip(clipped, model.parameters(), strict=True))
    total = float(nn.utils.get_total_norm(clipped))
    assert total == pytest.approx(min(longest, float(nn.utils.get_total_norm(before))), rel=1e-5)


def test_weights_without_a_gradient_count_as_nothing(model: DistillableModel) -> None:
    model.network.shared.weight.grad = None
    (whole,) = GradientNorms(model, {}).measure()
    assert float(whole) == float(nn.utils.get_total_norm([w.grad for w in model.parameters() if w.grad is not None]))
