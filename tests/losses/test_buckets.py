"""`kl` and `jsd` on a support and one tail bucket: against plain autograd, and against the whole distribution."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import pytest
import torch
from torch import Tensor

from assertkd.batching.distributions import BucketedDistribution, Buckets, DenseView
from assertkd.logits.codecs.topk import TopKCodec
from assertkd.losses import divergence
from assertkd.losses.divergence import jsd, kl
from assertkd.losses.target_batch import TargetBatch

N, V = 6, 11


@dataclass(frozen=True)
class Known(BucketedDistribution):
    """The buckets of given logits, in their precision, at every temperature: the k likeliest tokens of each row."""

    values: Tensor
    sizes: tuple[int, ...]
    padding: int = 0

    @property
    def num_tokens(self) -> int:
        return self.values.shape[0]

    @property
    def vocab_size(self) -> int:
        return self.values.shape[1]

    @property
    def temperatures(self) -> tuple[float, ...]:
        return ()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        return type(self)(self.values.to(device), self.sizes, self.padding)

    def pin_memory(self) -> Self:
        return self

    def buckets(self, rows: slice, temperature: float) -> Buckets:
        log_p, order = torch.log_softmax(self.values[rows] / temperature, -1).sort(descending=True, stable=True)
        sizes = torch.tensor(self.sizes[rows])[:, None]
        width = int(sizes.max()) + self.padding
        held = torch.arange(V) < sizes
        tail = log_p.masked_fill(held, -torch.inf).logsumexp(-1)
        columns = torch.arange(width)
        inside = columns < sizes
        ids = order[:, columns.clamp_max(V - 1)]
        filled = log_p[:, columns.clamp_max(V - 1)].masked_fill(~inside, -torch.inf)
        return Buckets(torch.where(inside, ids, order[:, :1]), filled, tail)


SIZES = (1, 3, 10, 2, 5, 1)


def random_logits(seed: int, rows: int = N, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(3).to(dtype)


def batch(student: Tensor, teacher: BucketedDistribution | None, temperature: float = 1.0) -> TargetBatch:
    return TargetBatch(student, torch.arange(len(student)), teacher, temperature)


def reference(component, student: Tensor, teacher: Tensor, sizes: tuple[int, ...], temperature: float) -> Tensor:
    """The divergence by its definition on masses, row by row, for autograd."""
    total = student.new_zeros(())
    for s, t, k in zip(student, teacher, sizes, strict=True):
        q, p = torch.softmax(s / temperature, 0), torch.softmax(t / temperature, 0)
        order = t.argsort(descending=True, stable=True)
        q, p = (torch.cat([x[order[:k]], x[order[k:]].sum()[None]]) if k < V else x[order] for x in (q, p))
        if component is kl:
            total = total + (p * (p / q).log()).sum()
        else:
            m = (p + q) / 2
            total = total + 0.5 * (p * (p / m).log()).sum() + 0.5 * (q * (q / m).log()).sum()
    return temperature**2 * total


@pytest.mark.parametrize("component", [kl, jsd])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("sizes", [SIZES, (V,) * N, (1,) * N, (V, 1, V, 2, V, 10)])
def test_value_and_gradient_are_those_of_plain_autograd(component, temperature: float, sizes: tuple[int, ...]) -> None:
    teacher = random_logits(0)
    mine, plain = random_logits(1).requires_grad_(), random_logits(1).requires_grad_()
    value = component(batch(mine, Known(teacher, sizes), temperature))
    expected = reference(component, plain, teacher, sizes, temperature)
    assert value.item() == pytest.approx(expected.item(), rel=1e-10)
    (1.3 * value).backward()
    (1.3 * expected).backward()
    assert torch.allclose(mine.grad, plain.grad, rtol=1e-8, atol=1e-12)


def test_kl_by_hand() -> None:
    # Teacher (1/2 | 1/2), student (1/4 | 1/2 + 1/4): the tail is what is left.
    student = torch.tensor([[0.0, math.log(2.0), 0.0]], dtype=torch.float64, requires_grad=True)
    buckets = Buckets(torch.tensor([[0]]), torch.tensor([[0.5]]).log(), torch.tensor([0.5]).log())

    class Given(Known):
        def buckets(self, rows: slice, temperature: float) -> Buckets:
            return buckets

    value = kl(batch(student, Given(torch.zeros(1, 3), (1,))))
    assert value.item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-6)
    value.backward()
    # q - p for the bucket of the support; the tail's 3/4 - 1/2 goes two to one over its tokens.
    assert student.grad.tolist() == [pytest.approx([-0.25, 0.25 * 2 / 3, 0.25 / 3], rel=1e-6)]


@pytest.mark.parametrize("component", [kl, jsd])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_written_out_is_the_gradient(component, temperature: float) -> None:
    teacher = Known(random_logits(2, rows=3), (2, 5, V))
    assert torch.autograd.gradcheck(
        lambda student: 1.7 * component(batch(student, teacher, temperature)),
        random_logits(3, rows=3).requires_grad_(),
    )


@pytest.mark.parametrize("component", [kl, jsd])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_more_buckets_come_closer_to_the_whole_from_below(component, temperature: float) -> None:
    student, teacher = random_logits(4), random_logits(5)
    values = [component(batch(student, Known(teacher, (k,) * N), temperature)).item() for k in range(1, V + 1)]
    dense = DenseView(teacher.half())
    whole = component(batch(student, dense, temperature)).item()
    assert all(fewer <= more + 1e-12 for fewer, more in pairwise(values))
    assert values[0] < 0.9 * values[-1], "one token and its tail say less"
    assert values[-1] == pytest.approx(whole, rel=1e-3), "float16 logits"
    # The last token is a tail of one, which is as good as itself.
    assert values[-2] == pytest.approx(values[-1], rel=1e-12)


@pytest.mark.parametrize("component", [kl, jsd])
def test_agreement_on_the_buckets_is_zero_however_the_tail_is_spread(component) -> None:
    teacher = random_logits(6)
    student = teacher.clone()
    for row, k in enumerate(SIZES):
        outside = teacher[row].argsort(descending=True, stable=True)[k:]
        student[row, outside] = student[row, outside.flip(0)]
    student.requires_grad_()
    value = component(batch(student, Known(teacher, SIZES), 2.0))
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert student.grad.abs().max().item() < 1e-12


@pytest.mark.parametrize("component", [kl, jsd])
def test_padding_and_chunks_change_nothing(component, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for padding, numbers in ((0, 1 << 22), (7, 1 << 22), (0, 1), (2, 3 * V + 1)):
        monkeypatch.setattr(divergence, "CHUNK_ELEMENTS", numbers)
        student = random_logits(7).requires_grad_()
        value = component(batch(student, Known(random_logits(8), SIZES, padding), 2.0))
        value.backward()
        results.append((value.item(), student.grad))
    for value, gradient in results[1:]:
        assert value == pytest.approx(results[0][0], rel=1e-12)
        assert torch.allclose(gradient, results[0][1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("component", [kl, jsd])
@pytest.mark.parametrize("sizes", [(1, 2, 3), (3, 3, 3)])
def test_extreme_logits_stay_finite(component, sizes: tuple[int, ...]) -> None:
    student = torch.tensor([[3e4, -3e4, 0.0], [0.0, 0.0, 0.0], [-3e4, 3e4, 3e4]], requires_grad=True)
    teacher = np.array([[-3e4, 3e4, 0.0], [6e4, 0.0, -6e4], [3e4, -3e4, -3e4]], np.float32)
    codec = TopKCodec(3, 4, (2.0,), max_k=max(sizes))
    stored = codec.collate([codec.encode_logits(teacher)], None)
    for view in (stored, Known(torch.nn.functional.pad(torch.from_numpy(teacher), (0, V - 3), value=-1e5), sizes)):
        wide = student if view.vocab_size == 3 else torch.nn.functional.pad(student, (0, V - 3))
        value = component(batch(wide, view, 2.0))
        (gradient,) = torch.autograd.grad(value, student)
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_students_are_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = random_logits(9, dtype=dtype), Known(random_logits(10, dtype=torch.float32), SIZES)
    for component in (kl, jsd):
        value = component(batch(student, teacher, 2.0))
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(component(batch(student.double(), teacher, 2.0)).item(), rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_stored_teacher_is_read(temperature: float) -> None:
    """A store's buckets give what the exact buckets of the same supports give, but for the quantisation."""
    teacher, student = random_logits(11, dtype=torch.float32), random_logits(12)
    codec = TopKCodec(V, 4, (2.0,))
    payload = codec.encode_logits(teacher.numpy())
    stored = batch(student, codec.collate([payload], None), temperature)
    exact = batch(student, Known(teacher.double(), tuple((payload["k"] + 1).tolist())), temperature)
    for component in (kl, jsd):
        assert component(stored).item() == pytest.approx(component(exact).item(), rel=2e-2)


def test_the_input_logits_are_left_alone() -> None:
    student = random_logits(13)
    before = student.clone()
    kl(batch(student, Known(random_logits(14), SIZES), 1.0))
    assert torch.equal(student, before)
