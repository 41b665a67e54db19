"""`uld` against `kl` where the tokenizers agree, and against an enumeration where they do not."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from assertkd.batching.aligned_distribution import AlignedDistribution, TokenProjection
from assertkd.batching.distributions import DenseView, TeacherView
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.losses.divergence import kl
from assertkd.losses.target_batch import TargetBatch
from assertkd.losses.uld import uld

N, V = 6, 9


def random_logits(seed: int, rows: int, entries: int) -> Tensor:
    return torch.randn(rows, entries, generator=torch.Generator().manual_seed(seed)) * 2


def places(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


def dense(logits: Tensor) -> TeacherView:
    return DenseView(logits.to(torch.float16))


def topk(logits: Tensor) -> TeacherView:
    codec = TopKCodec(logits.shape[1], 1, temperatures=(2.0,), max_k=4)
    return codec.collate([codec.encode_logits(logits.numpy())], None)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("view_of", [dense, topk])
def test_with_one_tokenizer_it_is_kl(view_of: Callable[[Tensor], TeacherView], temperature: float) -> None:
    view, labels = view_of(random_logits(0, N, V)), torch.arange(N)
    every, none = torch.arange(N), torch.full((N,), -1)
    aligned = AlignedDistribution(view, labels, every, none, none, 0, TokenProjection.of(torch.arange(V)), V)
    values = []
    for teacher, loss in ((view, kl), (aligned, uld), (view, uld)):
        student = random_logits(1, N, V).requires_grad_()
        value = loss(TargetBatch(student, labels, teacher, temperature))
        value.backward()
        values.append((value.detach(), student.grad))
    for value, gradient in values[1:]:
        torch.testing.assert_close(value, values[0][0])
        torch.testing.assert_close(gradient, values[0][1], atol=1e-6, rtol=1e-5)


A, B, AB, END = range(4)
"""The teacher's vocabulary; the student's lacks `AB` and names the others 0, 1 and 2."""
PROJECTION = TokenProjection.of(places(0, 1, 0, 2))


def enumerated(p: list[Tensor], q: list[Tensor]) -> float:
    """Return the loss of `bab`: the teacher's tokens are `b`, `ab` and the end, the student's `b`, `a`, `b`."""

    def projected(row: Tensor) -> list[float]:
        return [float(row[A] + row[AB]), float(row[B]), float(row[END])]

    def divergence(one: list[float], other: list[float]) -> float:
        return sum(x * math.log(x / y) for x, y in zip(one, other, strict=True))

    span_p, span_q = float(p[1][AB]), float(q[1][0] * q[2][1])
    return (
        divergence(projected(p[0]), q[0].tolist())
        + divergence([span_p, 1 - span_p], [span_q, 1 - span_q])
        + divergence(projected(p[2]), q[3].tolist())
    )


def aligned(view: TeacherView) -> AlignedDistribution:
    return AlignedDistribution(
        view, places(B, AB, END), places(0, -1, -1, 2), places(-1, 0, -1), places(-1, 0, 0, -1), 1, PROJECTION, 3
    )


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_of_an_enumerable_case_it_is_the_sum_over_the_outcomes(temperature: float) -> None:
    teacher, student = random_logits(2, 3, 4).half().float(), random_logits(3, 4, 3).double().requires_grad_()
    batch = TargetBatch(student, places(1, 0, 1, 2), aligned(dense(teacher)), temperature)
    p = [*torch.softmax(teacher.double() / temperature, dim=-1)]
    q = [*torch.softmax(student.detach() / temperature, dim=-1)]
    assert float(uld(batch).detach()) == pytest.approx(temperature**2 * enumerated(p, q), rel=1e-5)
    # Float32 in the teacher's part leaves the differences of a small step noisy.
    assert torch.autograd.gradcheck(
        lambda logits: uld(TargetBatch(logits, places(1, 0, 1, 2), aligned(dense(teacher)), temperature)),
        student,
        atol=1e-5,
    )


def test_a_student_that_says_the_same_in_smaller_tokens_has_none_at_equal_tokens() -> None:
    teacher = random_logits(4, 3, 4).half().float()
    p = torch.softmax(teacher, dim=-1)
    student = torch.stack([p[:, A] + p[:, AB], p[:, B], p[:, END]], dim=1).log()[[0, 0, 0, 2]]
    view = aligned(dense(teacher))
    value = kl(TargetBatch(student, places(1, 0, 1, 2), view, 1.0))
    assert float(value) == pytest.approx(0, abs=1e-5)


def test_of_a_support_the_tail_is_spread_over_the_other_tokens() -> None:
    teacher = random_logits(5, 3, 4)
    exact, rough = aligned(dense(teacher)), aligned(topk(teacher))
    assert float(rough.span_log_p(1.0)) == pytest.approx(float(exact.span_log_p(1.0)), abs=0.2)
    buckets = rough.buckets(slice(0, 4), 2.0)
    total = buckets.log_p.exp().sum(-1) + buckets.log_tail.exp()
    torch.testing.assert_close(total, torch.ones(4), atol=1e-3, rtol=0)
    assert buckets.log_tail[1] == buckets.log_tail[2] == 0, "in a span of several tokens there is one bucket"
