"""The on-policy loss: against an independent reference, however the batch is cut, and a function of seed and step."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.distributions import DenseView
from assertkd.batching.examples import Batch, Example
from assertkd.losses.divergence import generalised_jsd, jsd
from assertkd.losses.target_batch import TargetBatch
from assertkd.models.distillable import DistillableModel
from assertkd.settings.distillation import OnPolicySettings
from assertkd.training.loss_term import BatchTotals, StepContext, TermValues
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.on_policy_term import ON_POLICY, OnPolicyTerm, is_on_policy

BETAS = (0.0, 0.1, 0.5, 0.9, 1.0)


def reference(student: np.ndarray, teacher: np.ndarray, beta: float, temperature: float) -> float:
    """Return the summed divergence as Agarwal et al. define it, in float64, by scipy."""
    q, p = softmax(student / temperature, axis=-1), softmax(teacher / temperature, axis=-1)
    if beta == 0:
        return float(temperature**2 * rel_entr(p, q).sum())
    if beta == 1:
        return float(temperature**2 * rel_entr(q, p).sum())
    mixture = beta * p + (1 - beta) * q
    return float(temperature**2 * (beta * rel_entr(p, mixture) + (1 - beta) * rel_entr(q, mixture)).sum())


@pytest.fixture
def positions() -> TargetBatch:
    """Seven positions of twenty tokens, in float64."""
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(7, 20, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = 2 * torch.randn(7, 20, generator=generator, dtype=torch.float64)
    return TargetBatch(student, torch.zeros(7, dtype=torch.long), DenseView(teacher), 1.7)


@pytest.mark.parametrize("beta", BETAS)
def test_generalised_jsd_is_the_published_one(positions: TargetBatch, beta: float) -> None:
    teacher = positions.teacher.logits(slice(0, 7)).numpy()  # type: ignore[union-attr]
    value = generalised_jsd(positions, beta).detach()
    expected = reference(positions.student_logits.detach().numpy(), teacher, beta, 1.7)
    assert float(value) == pytest.approx(expected, rel=1e-6)
    if beta == 0.5:
        assert float(value) == pytest.approx(float(jsd(positions).detach()), rel=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_its_gradient_is_that_of_finite_differences(positions: TargetBatch, beta: float) -> None:
    def value(logits: torch.Tensor) -> torch.Tensor:
        return generalised_jsd(TargetBatch(logits, positions.labels, positions.teacher, 1.7), beta)

    assert torch.autograd.gradcheck(value, (positions.student_logits,), eps=1e-6, atol=1e-7)


def test_it_vanishes_where_both_agree_and_tends_to_the_kls(positions: TargetBatch) -> None:
    logits = positions.student_logits.detach()
    for beta in BETAS:
        same = TargetBatch(logits.float().requires_grad_(), positions.labels, DenseView(logits.float()), 1.0)
        assert float(generalised_jsd(same, beta).detach()) == pytest.approx(0.0, abs=1e-6)
    for limit, near in ((0.0, 1e-6), (1.0, 1 - 1e-6)):
        scale = max(near, 1 - near) * min(near, 1 - near)
        assert float(generalised_jsd(positions, near).detach()) / scale == pytest.approx(
            float(generalised_jsd(positions, limit).detach()), rel=1e-3
        )


@pytest.fixture
def examples(tiny_tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    end = tiny_tokenizer.eos_token_id
    return [Example(f"e{n}", [10 + n, *range(40, 40 + n % 4), end], [20 + n, 30, end]) for n in range(8)]


@pytest.fixture
def batches(examples: list[Example], tiny_tokenizer: PreTrainedTokenizerFast) -> Callable[[int], list[Batch]]:
    pad = tiny_tokenizer.pad_token_id
    return lambda size: [collate(examples[n : n + size], pad, None) for n in range(0, 8, size)]


def on_policy(teacher: DistillableModel, seed: int = 5, sequences_per_pass: int = 8, **settings: float) -> OnPolicyTerm:
    options = OnPolicySettings(**{"fraction": 0.3} | settings)
    return OnPolicyTerm(teacher.eval(), options, 12, sequences_per_pass, seed)


def context_of(
    model: DistillableModel, group: list[Batch], step: int, processes: ProcessGroup | None = None, norms: bool = False
) -> StepContext:
    processes = processes or ProcessGroup()
    totals = BatchTotals.count(group, processes)
    return StepContext(
        model, group, {ON_POLICY: 1.0}, step, totals, processes, lambda loss: loss.backward(), with_norms=norms
    )


def gradients(term: OnPolicyTerm, context: StepContext) -> tuple[float, torch.Tensor]:
    context.model.zero_grad()
    values: TermValues = term.accumulate(context)
    weights = context.model.parameters()
    return float(values.total), torch.cat([w.grad.flatten() for w in weights if w.grad is not None])


def test_the_steps_follow_from_the_seed_and_are_the_wanted_share() -> None:
    chosen = [is_on_policy(step, 0.3, 5) for step in range(4000)]
    # Four standard deviations of a binomial share.
    assert abs(np.mean(chosen) - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5
    assert [is_on_policy(step, 0.3, 5) for step in range(100)] == chosen[:100]
    assert [is_on_policy(step, 0.3, 6) for step in range(100)] != chosen[:100]
    assert all(is_on_policy(step, 1.0, 5) for step in range(50))


def test_the_gradient_is_that_of_the_samples_scored_in_full(
    tiny_t5: Callable[..., DistillableModel], batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    part = on_policy(teacher, beta=0.3, temperature=1.5)
    (batch,) = batches(8)
    context = context_of(student, [batch], step=4)
    loss, gradient = gradients(part, context)
    # The same outputs, scored by transformers' own forward pass and differentiated by autograd.
    tokens = part._outputs(context).tokens[:, 0]
    end = student.network.config.eos_token_id
    student.zero_grad()
    total, count = torch.zeros(()), 0
    for row, written in enumerate(tokens.tolist()):
        ids = written[: written.index(end) + 1] if end in written else written
        source = batch.input_ids[row][batch.attention_mask[row].bool()][None]
        labels = torch.tensor([ids])
        with torch.no_grad():
            p = torch.softmax(teacher.network(input_ids=source, labels=labels).logits[0] / 1.5, -1)
        q = torch.softmax(student.network(input_ids=source, labels=labels).logits[0] / 1.5, -1)
        mixture = 0.3 * p + 0.7 * q
        total = total + 0.3 * (p * (p / mixture).log()).sum() + 0.7 * (q * (q / mixture).log()).sum()
        count += len(ids)
    expected = 1.5**2 * total / count
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-4)
    reference_gradient = torch.cat([parameter.grad.flatten() for parameter in student.parameters()])
    assert float((gradient - reference_gradient).norm() / reference_gradient.norm()) < 1e-4
    assert part.accumulate(context).tokens == count
    assert part.accumulate(context_of(student, [batch], 4, Third())).tokens == 3 * count


def test_the_gradient_does_not_depend_on_how_the_batch_is_cut(
    tiny_t5: Callable[..., DistillableModel], batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    whole_loss, whole = gradients(on_policy(teacher), context_of(student, batches(8), 2))
    cut_loss, cut = gradients(on_policy(teacher, sequences_per_pass=3), context_of(student, batches(2), 2))
    assert cut_loss == pytest.approx(whole_loss, rel=1e-5)
    assert float((cut - whole).norm() / whole.norm()) < 1e-5


def test_outputs_follow_from_seed_and_step(
    tiny_t5: Callable[..., DistillableModel], batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)

    def written(seed: int, step: int) -> list[list[int]]:
        torch.rand(3)  # Other random numbers, as a resumed process has drawn them, make no difference.
        tokens = on_policy(teacher, seed)._outputs(context_of(student, batches(8), step)).tokens[:, 0]
        return [list(row) for row in tokens.tolist()]

    assert written(5, 7) == written(5, 7)
    assert written(5, 7) != written(5, 8)
    assert written(5, 7) != written(6, 7)


def test_the_teacher_learns_nothing(
    tiny_t5: Callable[..., DistillableModel], batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    gradients(on_policy(teacher), context_of(student, batches(8), 0))
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not teacher.training


class Third(ProcessGroup):
    """A process whose outputs have a third of all tokens."""

    def sums(self, *numbers: float) -> list[float]:
        return [3 * number for number in numbers]


def test_each_process_adds_its_share_of_the_mean(
    tiny_t5: Callable[..., DistillableModel], batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    whole_loss, whole = gradients(on_policy(teacher), context_of(student, batches(8), 2))
    loss, gradient = gradients(on_policy(teacher), context_of(student, batches(8), 2, Third()))
    assert 3 * loss == pytest.approx(whole_loss, rel=1e-5)
    assert float((3 * gradient - whole).norm() / whole.norm()) < 1e-5


def test_a_process_without_examples_adds_nothing(tiny_t5: Callable[..., DistillableModel]) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    values = on_policy(teacher).accumulate(context_of(student, [], 0, norms=True))
    assert (float(values.total), float(values.squared_norms[ON_POLICY])) == (0.0, 0.0)
    assert all(parameter.grad is None for parameter in student.parameters())
