"""Features in the term over target tokens: against transformers and autograd, however the batch is cut."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch, Example
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.models.distillable import DistillableModel
from assertkd.settings import LossSettings
from assertkd.settings.loss import HiddenSettings
from assertkd.settings.model import ScratchSettings
from assertkd.training.loss_term import BatchTotals, StepContext
from assertkd.training.objective import check_gradients
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.features import Features
from assertkd.training.terms.token_term import TokenTerm

Build = Callable[..., DistillableModel]
PLAN = plan_loss(LossSettings(components=("ce", "hidden"), weights=(0.25, 0.75), hidden={"distance": "mse"}))
WIDE = ScratchSettings(d_model=24, d_ff=32, heads=2, encoder_layers=1, decoder_layers=3)


@pytest.fixture
def batches(tiny_tokenizer: PreTrainedTokenizerFast) -> Callable[[int], list[Batch]]:
    end, pad = tiny_tokenizer.eos_token_id, tiny_tokenizer.pad_token_id
    examples = [
        Example(f"e{n}", [10 + n, *range(40, 40 + n % 4), end], [20 + n, *range(30, 30 + n % 3), end]) for n in range(8)
    ]
    return lambda size: [collate(examples[n : n + size], pad, None) for n in range(0, 8, size)]


def term_of(student: DistillableModel, teacher: DistillableModel, plan: LossPlan = PLAN) -> TokenTerm:
    assert plan.hidden is not None
    return TokenTerm(plan, Features(plan.hidden, student, teacher.eval(), 5))


def context_of(model: DistillableModel, group: list[Batch], plan: LossPlan = PLAN) -> StepContext:
    totals = BatchTotals.count(group, ProcessGroup())
    return StepContext(model, group, plan.weights(0.0), 0, totals, backward=lambda loss: loss.backward())


def gradients(term: TokenTerm, context: StepContext) -> tuple[float, torch.Tensor]:
    """Return the loss, and the gradient of the model's weights and of the projections."""
    context.model.zero_grad()
    own = [*term.weights().values()]
    for weight in own:
        weight.grad = None
    total = float(term.accumulate(context).total)
    return total, torch.cat([w.grad.flatten() for w in [*context.model.parameters(), *own] if w.grad is not None])


def test_value_and_gradient_are_those_of_transformers_and_autograd(
    tiny_t5: Build, batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1, 0.0, WIDE)
    term, (batch,) = term_of(student, teacher), batches(8)
    loss, gradient = gradients(term, context_of(student, [batch]))
    (projection,) = (weight.detach().clone().requires_grad_() for weight in term.weights().values())
    assert projection.shape == (24, 16)
    torch.testing.assert_close(projection.T @ projection, torch.eye(16), msg="orthogonal vectors")

    student.zero_grad()
    given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": batch.labels}
    own = student.network(**given, output_hidden_states=True)
    with torch.no_grad():
        taught = teacher.network(**given, output_hidden_states=True)
    is_target = batch.labels != -100
    features = own.decoder_hidden_states[1][is_target] @ projection.T
    # One layer of the student's learns from the last of three of the teacher's.
    distance = functional.mse_loss(features, taught.decoder_hidden_states[3][is_target])
    expected = 0.25 * own.loss + 0.75 * distance
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    whole = [weight.grad for weight in [*student.parameters(), projection]]
    reference = torch.cat([grad.flatten() for grad in whole if grad is not None])
    assert float((gradient - reference).norm() / reference.norm()) < 1e-5
    assert all(weight.grad is None for weight in teacher.parameters())


def test_the_gradient_does_not_depend_on_how_the_batch_is_cut(
    tiny_t5: Build, batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1, 0.0, WIDE)
    whole_loss, whole = gradients(term_of(student, teacher), context_of(student, batches(8)))
    for size in (1, 3):
        cut_loss, cut = gradients(term_of(student, teacher), context_of(student, batches(size)))
        assert cut_loss == pytest.approx(whole_loss, rel=1e-5)
        assert float((cut - whole).norm() / whole.norm()) < 1e-5


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_a_student_that_equals_its_teacher_has_nothing_to_learn(
    tiny_t5: Build, batches: Callable[[int], list[Batch]], distance: str
) -> None:
    plan = plan_loss(LossSettings(components=("hidden",), hidden=HiddenSettings.model_validate({"distance": distance})))
    values = term_of(tiny_t5(0), tiny_t5(0), plan).accumulate(context_of(tiny_t5(0), batches(8), plan))
    assert float(values.raw["hidden"]) == pytest.approx(0.0, abs=1e-6)
    other = term_of(tiny_t5(1), tiny_t5(0), plan).accumulate(context_of(tiny_t5(1), batches(8), plan))
    assert float(other.raw["hidden"]) > 1e-3


def test_the_projection_alone_learns_what_another_width_says(
    tiny_t5: Build, batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0, 0.0, WIDE), tiny_t5(0)
    student.requires_grad_(False)
    plan = plan_loss(LossSettings(components=("hidden",), hidden={"student_layers": (2,), "distance": "cosine"}))
    term = term_of(student, teacher, plan)
    optimizer = torch.optim.Adam(term.weights().values(), lr=0.03)
    values = []
    for _ in range(150):
        optimizer.zero_grad()
        values.append(float(term.accumulate(context_of(student, batches(8), plan)).total))
        optimizer.step()
    assert values[-1] < 0.1 * values[0]


def test_no_teacher_runs_where_the_weight_is_0(tiny_t5: Build, batches: Callable[[int], list[Batch]]) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    term, seen = term_of(student, teacher), []
    teacher.register_forward_hook(lambda *_: seen.append(True))
    context = context_of(student, batches(8))
    idle = StepContext(student, context.micro_batches, {"ce": 1.0, "hidden": 0.0}, 0, context.totals)
    assert set(term.accumulate(idle).raw) == {"ce"}
    assert not seen
    assert set(term.accumulate(context).raw) == {"ce", "hidden"}
    assert seen == [True]


def test_the_check_before_the_first_step_measures_its_gradient(
    tiny_t5: Build, batches: Callable[[int], list[Batch]]
) -> None:
    student, teacher = tiny_t5(0), tiny_t5(1)
    values, norms = check_gradients([term_of(student, teacher)], context_of(student, batches(8)))
    assert values["hidden"] > 0 and norms["hidden"] > 0
