"""Every component against an independent reference, its gradient against finite differences."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from assertkd.batching.distributions import DenseView, FullDistribution
from assertkd.errors import UserError
from assertkd.losses import divergence
from assertkd.losses.cross_entropy import cross_entropy
from assertkd.losses.divergence import jsd, kl
from assertkd.losses.focal import focal
from assertkd.losses.registry import COMPONENTS, TokenComponent
from assertkd.losses.target_batch import TargetBatch

N, V = 7, 11


@dataclass(frozen=True)
class Known(FullDistribution):
    """A teacher whose logits are given, in any precision."""

    values: Tensor

    @property
    def num_tokens(self) -> int:
        return self.values.shape[0]

    @property
    def vocab_size(self) -> int:
        return self.values.shape[1]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        return type(self)(self.values.to(device))

    def pin_memory(self) -> Self:
        return self

    def logits(self, rows: slice) -> Tensor:
        return self.values[rows]


def random_logits(seed: int, rows: int = N, scale: float = 3.0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(scale).to(dtype)


def batch(student: Tensor, teacher: Tensor | None = None, temperature: float = 1.0) -> TargetBatch:
    labels = torch.arange(student.shape[0]) % V
    return TargetBatch(student, labels, None if teacher is None else Known(teacher), temperature)


def test_cross_entropy_is_minus_log_of_the_gold_probability() -> None:
    student = random_logits(0)
    probabilities = softmax(student.numpy(), axis=1)
    expected = -sum(math.log(probabilities[row, row % V]) for row in range(N))
    assert cross_entropy(batch(student)).item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_by_hand() -> None:
    student = torch.tensor([[0.0, math.log(3.0)]])
    assert cross_entropy(TargetBatch(student, torch.tensor([1]), None, 1.0)).item() == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (1.0, 0.5), (0.7, 1.0), (2.0, 5.0)])
def test_focal_is_its_formula(alpha: float, gamma: float) -> None:
    student = random_logits(1)
    gold = softmax(student.numpy(), axis=1)[np.arange(N), np.arange(N) % V]
    expected = (-alpha * (1 - gold) ** gamma * np.log(gold)).sum()
    assert focal(batch(student), alpha, gamma).item() == pytest.approx(expected, rel=1e-5)


def test_focal_without_focus_is_scaled_cross_entropy() -> None:
    student = random_logits(2, dtype=torch.float32)
    assert focal(batch(student), 0.25, 0.0).item() == pytest.approx(
        0.25 * cross_entropy(batch(student)).item(), rel=1e-6
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("lead", [0.0, 5.0, 15.0, 30.0, 100.0, 1e4])
def test_focal_has_a_finite_gradient_however_sure_the_student_is(gamma: float, lead: float) -> None:
    student = torch.zeros(1, V)
    student[0, 0] = lead
    student.requires_grad_()
    focal(batch(student), 0.25, gamma).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_focal_gradient_where_the_student_is_nearly_sure() -> None:
    # With q = 1 - e, (1 - q)^2 · -log q is e^3 to first order and its slope in e is 3 e^2; the logit of the gold
    # token moves e by -e. With one other token e = exp(-lead).
    student = torch.tensor([[12.0, 0.0]], requires_grad=True)
    focal(TargetBatch(student, torch.tensor([0]), None, 1.0), 1.0, 2.0).backward()
    assert student.grad is not None
    assert student.grad[0, 0].item() == pytest.approx(-3 * math.exp(-36.0), rel=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_kl_is_that_of_torch(temperature: float) -> None:
    student, teacher = random_logits(3), random_logits(4)
    expected = temperature**2 * functional.kl_div(
        torch.log_softmax(student / temperature, -1), torch.softmax(teacher / temperature, -1), reduction="sum"
    )
    assert kl(batch(student, teacher, temperature)).item() == pytest.approx(expected.item(), rel=1e-12)


def test_kl_by_hand() -> None:
    # From the teacher (1/2, 1/2) to the student (1/4, 3/4).
    student, teacher = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    value = kl(TargetBatch(student, torch.tensor([0]), Known(teacher), 1.0)).item()
    assert value == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_jsd_is_that_of_scipy(temperature: float) -> None:
    student, teacher = random_logits(5), random_logits(6)
    q, p = (softmax(logits.numpy() / temperature, axis=1) for logits in (student, teacher))
    expected = temperature**2 * (jensenshannon(q, p, axis=1) ** 2).sum()
    assert jsd(batch(student, teacher, temperature)).item() == pytest.approx(expected, rel=1e-10)


def test_jsd_is_symmetric_and_bounded() -> None:
    student, teacher = random_logits(7), random_logits(8)
    there, back = jsd(batch(student, teacher, 2.0)), jsd(batch(teacher, student, 2.0))
    assert there.item() == pytest.approx(back.item(), rel=1e-12)
    apart, other = torch.zeros(N, V), torch.zeros(N, V)
    apart[:, 0] = other[:, 1] = 1000.0
    bound = N * 3.0**2 * math.log(2)
    assert jsd(batch(apart, other, 3.0)).item() == pytest.approx(bound, rel=1e-6)
    assert there.item() < N * 2.0**2 * math.log(2)


@pytest.mark.parametrize("component", [kl, jsd])
def test_agreement_is_zero_with_zero_gradient(component) -> None:
    student = random_logits(9).requires_grad_()
    # A constant added to all logits of a row changes no distribution.
    value = component(batch(student, student.detach() + 5.0, 4.0))
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert student.grad.abs().max().item() < 1e-12


@pytest.mark.parametrize("component", [kl, jsd])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_written_out_is_the_gradient(component, temperature: float) -> None:
    teacher = random_logits(10, rows=3)
    assert torch.autograd.gradcheck(
        lambda student: 1.7 * component(batch(student, teacher, temperature)),
        random_logits(11, rows=3).requires_grad_(),
    )


@pytest.mark.parametrize("component", [kl, jsd])
@pytest.mark.parametrize("numbers", [1, V, 3 * V + 1, N * V])
def test_chunks_change_nothing(component, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for size in (1 << 22, numbers):
        monkeypatch.setattr(divergence, "CHUNK_ELEMENTS", size)
        student = random_logits(12).requires_grad_()
        value = component(batch(student, random_logits(13), 2.0))
        value.backward()
        results.append((value.item(), student.grad))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("component", [kl, jsd])
def test_extreme_logits_stay_finite(component) -> None:
    student = torch.tensor([[3e4, -3e4, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[-3e4, 3e4, 0.0], [6e4, 0.0, -6e4]])
    value = component(TargetBatch(student, torch.tensor([0, 1]), Known(teacher), 1.0))
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_students_are_computed_in_float32(dtype: torch.dtype) -> None:
    student = random_logits(14, dtype=dtype)
    teacher = random_logits(15, dtype=torch.float32)
    for component in (kl, jsd):
        value = component(batch(student, teacher, 2.0))
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(component(batch(student.double(), teacher.double(), 2.0)).item(), rel=1e-5)


def test_the_stored_teacher_is_read() -> None:
    teacher = random_logits(16, dtype=torch.float16)
    student = random_logits(17)
    stored = TargetBatch(student, torch.arange(N), DenseView(teacher), 2.0)
    assert kl(stored).item() == pytest.approx(kl(batch(student, teacher.double(), 2.0)).item(), rel=1e-6)


@pytest.mark.parametrize("component", [kl, jsd])
def test_without_a_teacher_it_is_refused(component) -> None:
    with pytest.raises(UserError, match="teacher's logits"):
        component(batch(random_logits(18)))


def test_registered_components_train_the_student() -> None:
    for name in ("ce", "focal", "kl", "jsd"):
        component = COMPONENTS[name]
        assert isinstance(component, TokenComponent)
        student = random_logits(19, dtype=torch.float32).requires_grad_()
        options = {"alpha": 0.25, "gamma": 2.0} if name == "focal" else {}
        component.compute(batch(student, random_logits(20, dtype=torch.float32), 2.0), **options).backward()
        assert student.grad is not None
        assert student.grad.abs().sum() > 0, name
