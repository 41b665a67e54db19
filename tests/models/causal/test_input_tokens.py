"""The loss on the input's tokens: against transformers and autograd, however the batch is cut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_models import random_model
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch, Example
from assertkd.dry_run import PlannedJob
from assertkd.errors import UserError
from assertkd.layout import RunLayout
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.models.distillable import DistillableModel
from assertkd.prerequisites import check_models
from assertkd.settings import LossSettings, TrainingSettings, load_run
from assertkd.training.data import TrainingData
from assertkd.training.loss_term import BatchTotals, StepContext, TermValues
from assertkd.training.objective import LossWeights, check_gradients
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.input_tokens import input_token_count, read_with_inputs
from assertkd.training.terms.token_term import TokenTerm
from assertkd.training.train import build_terms

PLAN = plan_loss(LossSettings(components=("ce",), input_weight=0.5))
PLAIN = plan_loss(LossSettings(components=("ce",)))
EXAMPLES = [Example(f"e{n}", [10 + n, *range(3, 3 + n % 4), 2], [20 + n, *range(30, 30 + n % 3), 2]) for n in range(8)]


def batches(size: int) -> list[Batch]:
    return [collate(EXAMPLES[n : n + size], 0, None) for n in range(0, 8, size)]


def step(model: DistillableModel, group: list[Batch], plan: LossPlan = PLAN) -> tuple[TermValues, torch.Tensor]:
    """Return the values of one step, and the gradient of the model's weights."""
    model.zero_grad()
    term, totals = TokenTerm(plan), BatchTotals.count(group, ProcessGroup())
    weights = LossWeights(plan, term.fixed_weights, 9, 0.0, 1).at(0)
    context = StepContext(model, group, weights, 0, totals, backward=lambda loss: loss.backward(), with_norms=True)
    values = term.accumulate(context)
    return values, torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


@pytest.mark.parametrize("kind", ["qwen2", "gpt2"])
def test_value_and_gradient_are_those_of_transformers_and_autograd(kind: str) -> None:
    model = random_model(kind).eval()
    values, gradient = step(model, batches(8))
    model.zero_grad()
    of_inputs, of_targets = [], []
    for example in EXAMPLES:
        row = torch.tensor([*example.input_ids, *example.target_ids])
        logits = model.network(row[None]).logits[0, :-1]
        each, start = functional.cross_entropy(logits, row[1:], reduction="none"), len(example.input_ids) - 1
        of_inputs.append(each[:start])
        of_targets.append(each[start:])
    own, target = torch.cat(of_inputs).mean(), torch.cat(of_targets).mean()
    (target + 0.5 * own).backward()
    reference = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    assert float(values.raw["input"]) == pytest.approx(float(own.detach()), rel=1e-5)
    assert float(values.raw["ce"]) == pytest.approx(float(target.detach()), rel=1e-5)
    assert float(values.total) == pytest.approx(float((target + 0.5 * own).detach()), rel=1e-5)
    assert float((gradient - reference).norm() / reference.norm()) < 1e-4


def test_the_step_does_not_depend_on_how_the_batch_is_cut() -> None:
    model = random_model("qwen2").eval()
    whole, expected = step(model, batches(8))
    for size in (1, 3):
        cut, gradient = step(model, batches(size))
        assert float(cut.total) == pytest.approx(float(whole.total), rel=1e-5)
        assert float(cut.squared_norms["input"]) == pytest.approx(float(whole.squared_norms["input"]), rel=1e-4)
        assert float((gradient - expected).norm() / expected.norm()) < 1e-4


def test_what_the_targets_learn_stays_the_same() -> None:
    model = random_model("qwen2").eval()
    with_inputs, plain = step(model, batches(4))[0], step(model, batches(4), PLAIN)[0]
    assert set(plain.raw) == {"ce"}
    assert float(with_inputs.raw["ce"]) == pytest.approx(float(plain.raw["ce"]), rel=1e-5)
    assert float(with_inputs.squared_norms["ce"]) == pytest.approx(float(plain.squared_norms["ce"]), rel=1e-4)


def test_inputs_of_one_token_have_nothing_to_learn() -> None:
    model = random_model("qwen2").eval()
    group = [collate([Example("a", [2], [30, 2])], 0, None)]
    values, _ = step(model, group)
    assert set(values.raw) == {"ce"}


def test_hidden_states_are_those_at_the_targets() -> None:
    model = random_model("qwen2").eval()
    (batch,) = batches(8)
    outputs, inputs = read_with_inputs(model, batch, hidden_states=True)
    plain = model(batch.input_ids, batch.attention_mask, batch.labels, hidden_states=True)
    torch.testing.assert_close(outputs.logits, plain.logits, rtol=1e-4, atol=1e-5)
    for own, expected in zip(outputs.hidden_states, plain.hidden_states, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)
    assert inputs.tokens.tolist() == [token for example in EXAMPLES for token in example.input_ids[1:]]
    assert len(inputs.tokens) == len(inputs.logits) == input_token_count(batch)


def test_the_check_before_the_first_step_names_it(caplog: pytest.LogCaptureFixture) -> None:
    model, group = random_model("qwen2"), batches(8)
    term = TokenTerm(PLAN)
    weights = LossWeights(PLAN, term.fixed_weights, 9, 0.0, 1).for_check()
    context = StepContext(model, group, weights, 0, BatchTotals.count(group, ProcessGroup()))
    with caplog.at_level("INFO"):
        values, norms = check_gradients([term], context)
    assert set(values) == set(norms) == {"ce", "input"}
    assert "start: input is" in caplog.text


def test_a_student_with_an_encoder_is_refused(
    tiny_t5: Callable[..., DistillableModel], tiny_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    data = TrainingData(EXAMPLES, [], None, ())
    with pytest.raises(UserError, match=r"^loss\.input_weight: the student has an encoder"):
        build_terms(PLAN, tiny_t5(), data, tiny_tokenizer, TrainingSettings(), 1)
    for family, refused in (("t5", True), ("causal", False)):
        run = run_of(family)
        job = PlannedJob("distill_student", {"run": "r", "variant": "v", "seed": "1"}, (), "")
        if refused:
            with pytest.raises(UserError, match=r"^variants\.v: loss\.input_weight: the student has an encoder"):
                check_models(run, [job], RunLayout(tmp_path))
        else:
            check_models(run, [job], RunLayout(tmp_path))


def run_of(family: str) -> Any:
    text = f"""
    run: r
    runs: {{r: {{data: {{source: embedded}}, teacher: {{model: {{name: scratch, scratch: {{family: {family}}}}}}}}}}}
    variants: {{v: {{model: {{teacher_layers: [0]}}, loss: {{components: [ce], input_weight: 1}}}}}}
    """
    return load_run(yaml.safe_load(text))
