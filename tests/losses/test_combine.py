"""The weighted sum, and that its gradient does not depend on how an effective batch is cut or padded."""

from collections.abc import Callable

import pytest
import torch

from assertkd.batching.distributions import DenseView
from assertkd.losses.combine import combine
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.losses.registry import COMPONENTS, TokenComponent
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.distillable import DistillableModel
from assertkd.settings import LossSettings

ALL = plan_loss(LossSettings(components=("ce", "focal", "kl", "jsd"), temperature=2.0))
EXAMPLES = 8


def test_the_total_is_the_weighted_sum_over_tokens() -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    teacher = DenseView(torch.randn(5, 9, generator=torch.Generator().manual_seed(1)).half())
    batch = TargetBatch(logits, torch.arange(5), teacher, 2.0)
    weights = {"ce": 0.1, "focal": 0.2, "kl": 0.3, "jsd": 0.4}
    result = combine(ALL, batch, weights, tokens=20, token_weight=20)
    for planned, component in ALL.token_components:
        value = component.compute(batch, **planned.options).item() / 20
        assert result.parts[planned.name].item() == pytest.approx(value, rel=1e-6)
    assert result.total.item() == pytest.approx(
        sum(weights[n] * part.item() for n, part in result.parts.items()), rel=1e-6
    )
    assert not any(part.requires_grad for part in result.parts.values())


def test_a_component_without_weight_is_not_computed() -> None:
    batch = TargetBatch(torch.zeros(1, 2, requires_grad=True), torch.tensor([0]), None, 1.0)
    plan = plan_loss(LossSettings(function="traditional", alpha=1.0))
    result = combine(plan, batch, plan.weights(0.0), 1, 1)
    assert set(result.parts) == {"ce"}, "kl would need a teacher"
    assert result.total.requires_grad


def gradients(
    model: DistillableModel, plan: LossPlan, micro_batches: list[list[int]], padding: int = 0
) -> torch.Tensor:
    """Return the gradient of all weights over examples that come in these micro-batches, with padding appended."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.vocab_size
    lengths = [(3 + n % 5, 1 + (3 * n) % 6) for n in range(EXAMPLES)]
    inputs = [torch.randint(4, vocabulary, (source,), generator=generator) for source, _ in lengths]
    targets = [torch.randint(4, vocabulary, (target,), generator=generator) for _, target in lengths]
    teacher = [torch.randn(target, vocabulary, generator=generator).half() for _, target in lengths]
    tokens = sum(target for _, target in lengths)
    model.zero_grad()
    for chosen in micro_batches:
        sources = [torch.cat([inputs[n], torch.zeros(padding, dtype=torch.long)]) for n in chosen]
        masks = [torch.cat([torch.ones_like(inputs[n]), torch.zeros(padding, dtype=torch.long)]) for n in chosen]
        outputs = [torch.cat([targets[n], torch.full((padding,), -100)]) for n in chosen]
        pad = torch.nn.utils.rnn.pad_sequence
        labels = pad(outputs, batch_first=True, padding_value=-100)
        is_target = labels != -100
        logits = model(pad(sources, batch_first=True), pad(masks, batch_first=True), labels).logits
        view = DenseView(torch.cat([teacher[n] for n in chosen]))
        batch = TargetBatch(logits, labels[is_target], view, plan.temperature or 1.0)
        combine(plan, batch, plan.weights(0.0), tokens, tokens).total.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone()


def relative_error(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


PLANS = [plan_loss(LossSettings(components=(name,))) for name in ("ce", "focal", "kl", "jsd")] + [ALL]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: "+".join(c.name for c in plan.components))
def test_the_gradient_does_not_depend_on_accumulation(tiny_t5: Callable[..., DistillableModel], plan: LossPlan) -> None:
    model = tiny_t5().train()
    whole = gradients(model, plan, [list(range(8))])
    assert whole.norm() > 0
    assert relative_error(gradients(model, plan, [[n, n + 1] for n in range(0, 8, 2)]), whole) <= 1e-5
    assert relative_error(gradients(model, plan, [[7], [0, 3, 5], [1, 2, 4, 6]]), whole) <= 1e-5


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: "+".join(c.name for c in plan.components))
def test_the_gradient_does_not_depend_on_padding(tiny_t5: Callable[..., DistillableModel], plan: LossPlan) -> None:
    model = tiny_t5().train()
    order = [list(range(8))]
    assert relative_error(gradients(model, plan, order, padding=4), gradients(model, plan, order)) <= 1e-5


def feature_distance(batch: TargetBatch) -> torch.Tensor:
    """Return the sum of squares of the last hidden state against a fixed one, as a feature loss would have it."""
    target = torch.linspace(-1.0, 1.0, batch.hidden_states[-1].shape[1])
    return (batch.hidden_states[-1] - target).square().sum()


def test_a_component_may_read_the_hidden_states(
    tiny_t5: Callable[..., DistillableModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMPONENTS, "feature", TokenComponent(feature_distance, needs_hidden_states=True))
    plan = plan_loss(LossSettings(components=("ce", "feature"), weights=(0.7, 0.3)))
    assert plan.needs_hidden_states
    assert not ALL.needs_hidden_states
    model = tiny_t5().train()
    inputs, labels = torch.tensor([[5, 6, 7, 1]]), torch.tensor([[8, 9, 1]])

    def outputs() -> TargetBatch:
        found = model(inputs, torch.ones_like(inputs), labels, hidden_states=True)
        return TargetBatch(found.logits, labels[0], None, 1.0, hidden_states=found.hidden_states)

    def gradient_of(total: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        total.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone()

    weights, batch = {"ce": 0.7, "feature": 0.3}, outputs()
    combined = combine(plan, batch, weights, tokens=3, token_weight=3, norms=True)
    summed = gradient_of(combined.total)
    batch = outputs()
    plain = 0.7 * torch.nn.functional.cross_entropy(batch.student_logits, labels[0]) + 0.3 * feature_distance(batch) / 3
    assert combined.total.item() == pytest.approx(plain.item(), rel=1e-6)
    assert relative_error(summed, gradient_of(plain)) <= 1e-5
    slope = 2 * (batch.hidden_states[-1].detach() - torch.linspace(-1.0, 1.0, batch.hidden_states[-1].shape[1])) / 3
    assert combined.squared_norms["feature"].item() == pytest.approx(slope.square().sum().item(), rel=1e-5)
