"""Text components on a small student: what they add does not depend on batching, and what they cannot train is said."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.batching.collation import collate
from assertkd.batching.examples import Batch, Example
from assertkd.errors import UserError
from assertkd.losses.loss_plan import LossPlan, plan_loss
from assertkd.losses.metric_risk import metric_risk
from assertkd.losses.registry import COMPONENTS, TextComponent, TokenComponent
from assertkd.losses.text_batch import TextBatch
from assertkd.metrics.pans import pans
from assertkd.metrics.syntax_validity import syntax_validity
from assertkd.models.distillable import DistillableModel, TargetOutputs
from assertkd.models.encoders import TextEncoder
from assertkd.settings import LossSettings
from assertkd.settings.loss import TextLossSettings
from assertkd.settings.model import ScratchSettings
from assertkd.training.loss_term import BatchTotals, LossTerm, StepContext, TermValues
from assertkd.training.objective import accumulate, check_gradients
from assertkd.training.parallel.process_group import ProcessGroup
from assertkd.training.terms.text_term import TextTerm
from assertkd.training.terms.token_term import TokenTerm

SIZES = ScratchSettings(d_model=32, d_ff=64, heads=2, encoder_layers=1, decoder_layers=1)
SOURCES = ["isEmpty list", "add(1, 2)", "calculator", "size == 0", "return a + b", "new ArrayList", "test", "int b"]
TARGETS = [f"assertEquals({n}, add(1, {n}));" for n in range(8)]


@pytest.fixture
def student(tiny_t5: Callable[..., DistillableModel]) -> DistillableModel:
    return tiny_t5(1, 0.1, SIZES)


@pytest.fixture
def examples(tiny_tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    def ids(text: str) -> list[int]:
        return [*tiny_tokenizer(text, add_special_tokens=False)["input_ids"], tiny_tokenizer.eos_token_id]

    return [Example(f"e{n}", ids(SOURCES[n]), ids(TARGETS[n]), TARGETS[n]) for n in range(8)]


Build = Callable[[LossPlan], list[LossTerm]]


@pytest.fixture
def terms_of(tiny_tokenizer: PreTrainedTokenizerFast, tiny_encoder: TextEncoder) -> Build:
    tiny_encoder.pin(TARGETS, tiny_encoder.encode(TARGETS))
    encoders = {"semantic": tiny_encoder, "contrastive": tiny_encoder}

    def build(plan: LossPlan) -> list[LossTerm]:
        assert plan.sampling is not None
        return [TokenTerm(plan), TextTerm(plan, plan.sampling, tiny_tokenizer, encoders, 32, 8, seed=5)]

    return build


def plan_of(*names: str, **text: Any) -> LossPlan:
    settings = LossSettings(
        components=names,
        weights=tuple(1.0 for _ in names),
        text=TextLossSettings(**{"share": 1.0, "samples": 3, "start": 0.0, "max_share": 1.0} | text),
    )
    return plan_loss(settings)


def batches_of(examples: Sequence[Example], size: int) -> list[Batch]:
    return [collate(examples[start : start + size], 0, None) for start in range(0, len(examples), size)]


def context_of(student: DistillableModel, group: list[Batch], weights: dict[str, float], **options: Any) -> StepContext:
    return StepContext(
        student, group, weights, totals=BatchTotals.count(group, ProcessGroup()), **{"step": 7} | options
    )


def gradient(
    student: DistillableModel,
    terms: list[LossTerm],
    plan: LossPlan,
    group: list[Batch],
    norms: bool = False,
    step: int = 7,
) -> tuple[TermValues, Tensor]:
    student.zero_grad(set_to_none=True)
    student.train()
    options = {"backward": lambda loss: loss.backward(), "with_norms": norms, "step": step}
    values = accumulate(terms, context_of(student, group, plan.weights(0.0), **options))
    parts = [p.grad.flatten() for p in student.parameters() if p.grad is not None]
    return values, torch.cat(parts)


def check(student: DistillableModel, terms: list[LossTerm], plan: LossPlan, group: list[Batch]) -> dict[str, float]:
    weights = {component.name: float(component.trains) for component in plan.components}
    return check_gradients(terms, context_of(student, group, weights, step=0))


@pytest.mark.parametrize("name", ["semantic", "contrastive", "pans", "risk:bleu", "risk:f1"])
def test_the_gradient_does_not_depend_on_accumulation(
    name: str, student: DistillableModel, examples: list[Example], terms_of: Build
) -> None:
    plan = plan_of(name)
    whole, once = gradient(student, terms_of(plan), plan, batches_of(examples, 8))
    parts, four = gradient(student, terms_of(plan), plan, batches_of(examples, 2))
    assert once.norm() > 0
    assert (four - once).norm() <= 1e-5 * once.norm()
    assert torch.equal(whole.raw[name], parts.raw[name])


def test_text_and_token_components_add_up(
    tiny_t5: Callable[..., DistillableModel],
    examples: list[Example],
    terms_of: Build,
) -> None:
    student = tiny_t5(1, 0.0, SIZES)
    group = batches_of(examples, 4)
    both, text_plan, token_plan = plan_of("ce", "pans"), plan_of("pans"), plan_loss(LossSettings(components=("ce",)))
    _, together = gradient(student, terms_of(both), both, group)
    _, text = gradient(student, terms_of(text_plan), text_plan, group)
    _, token = gradient(student, [TokenTerm(token_plan)], token_plan, group)
    assert text.norm() > 0
    assert torch.allclose(together, 0.5 * (text + token), atol=1e-7, rtol=1e-4)


def test_the_rate_of_invalid_samples_is_that_of_the_metric(
    student: DistillableModel,
    examples: list[Example],
    terms_of: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[TextBatch] = []

    def risk(batch: TextBatch) -> Tensor:
        seen.append(batch)
        return batch.by_example(torch.arange(float(len(batch.pairs()[0]))))

    monkeypatch.setitem(COMPONENTS, "counted", TextComponent(risk))
    plan = plan_of("counted", share=0.5)
    values, _ = gradient(student, terms_of(plan), plan, batches_of(examples, 2))
    (batch,) = seen
    texts, references = batch.pairs()
    assert len(texts) == 4 * 3
    assert set(references) < set(TARGETS)
    assert batch.batch_references == TARGETS
    assert values.columns["ast_invalid_rate"] == pytest.approx(1 - sum(map(syntax_validity, texts)) / len(texts))
    assert values.raw["counted"] == pytest.approx(5.5)


def test_the_logged_norm_is_that_of_autograd(
    student: DistillableModel, examples: list[Example], terms_of: Build
) -> None:
    plan = plan_of("pans")
    caught: list[Tensor] = []
    forward = student.forward

    def spied(*arguments: Any, **named: Any) -> TargetOutputs:
        outputs = forward(*arguments, **named)
        outputs.logits.register_hook(lambda slope: caught.append(slope))
        return outputs

    student.forward = spied  # type: ignore[method-assign]
    values, _ = gradient(student, terms_of(plan), plan, batches_of(examples, 8), norms=True)
    total = torch.cat([slope.flatten() for slope in caught]).norm()
    assert values.squared_norms["pans"].sqrt() == pytest.approx(float(total), rel=1e-4)


def test_nothing_is_sampled_where_no_text_component_has_weight(
    student: DistillableModel,
    examples: list[Example],
    terms_of: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = plan_of("ce", "pans")

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("sampled")

    monkeypatch.setattr(student, "sample", refuse)
    with pytest.raises(AssertionError, match="sampled"):
        gradient(student, terms_of(plan), plan, batches_of(examples, 8))
    weights = {"ce": 1.0, "pans": 0.0}
    values = accumulate(terms_of(plan), context_of(student, batches_of(examples, 8), weights))
    assert values.raw["pans"] == 0
    assert "ast_invalid_rate" not in values.columns


def test_the_start_refuses_a_component_that_trains_nothing(
    student: DistillableModel, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMPONENTS, "idle", TokenComponent(lambda batch: 0.0 * batch.student_logits.sum()))
    monkeypatch.setitem(COMPONENTS, "boundless", TokenComponent(lambda batch: torch.inf * batch.student_logits.sum()))
    for name, words in (("idle", "is 0 on the first batch"), ("boundless", "is (nan|inf) on the first batch")):
        plan = plan_loss(LossSettings(components=("ce", name), weights=(1.0, 1.0)))
        with pytest.raises(UserError, match=f"loss component {name}: .*{words}"):
            check(student, [TokenTerm(plan)], plan, batches_of(examples, 8))


def test_the_start_checks_what_gets_its_weight_later(
    student: DistillableModel, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMPONENTS, "idle", TokenComponent(lambda batch: 0.0 * batch.student_logits.sum()))
    later = {"components": ("ce", "idle"), "dynamic_weighting": True, "schedule": {"idle": {"start": 0, "end": 0.5}}}
    with pytest.raises(UserError, match="loss component idle"):
        plan = plan_loss(LossSettings(**later))
        check(student, [TokenTerm(plan)], plan, batches_of(examples, 8))


def test_the_start_exempts_samples_of_equal_risk_and_says_so(
    student: DistillableModel,
    examples: list[Example],
    terms_of: Build,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="assertkd")
    plan = plan_of("ce", "ast")
    values, _ = check(student, terms_of(plan), plan, batches_of(examples, 8))
    assert values["ast"] == 1.0, "a random student writes no statement"
    assert "ast has no gradient on the first batch, since its samples all have equal risk" in caplog.text
    assert not any(parameter.grad is not None for parameter in student.parameters())


def scaled_pans(factor: float) -> TextComponent:
    return TextComponent(lambda batch: factor * metric_risk(batch, pans))


def test_the_size_of_a_risk_does_not_matter(
    tiny_t5: Callable[..., DistillableModel],
    examples: list[Example],
    terms_of: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = tiny_t5(1, 0.0, SIZES)
    monkeypatch.setitem(COMPONENTS, "loud", scaled_pans(1000.0))
    group = batches_of(examples, 4)
    quiet, loud = plan_of("pans"), plan_of("loud")
    _, expected = gradient(student, terms_of(quiet), quiet, group)
    _, found = gradient(student, terms_of(loud), loud, group)
    assert expected.norm() > 0
    assert (found - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("share", [0.25, 1.0], ids=["one pass", "four passes"])
def test_the_share_of_the_gradient_is_held(
    tiny_t5: Callable[..., DistillableModel], examples: list[Example], terms_of: Build, share: float
) -> None:
    student = tiny_t5(1, 0.0, SIZES)
    group = batches_of(examples, 4)
    free, held = plan_of("ce", "pans", share=share), plan_of("ce", "pans", share=share, max_share=0.01)
    without, loud = gradient(student, terms_of(free), free, group, norms=True)
    values, quiet = gradient(student, terms_of(held), held, group)
    _, token = gradient(student, [TokenTerm(plan_loss(LossSettings(components=("ce",))))], free, group)
    norms = {name: float(square.sqrt()) for name, square in without.squared_norms.items()}
    assert norms["pans"] / (norms["pans"] + norms["ce"]) > 0.02, "the limit has something to hold"
    share_without = norms["pans"] / (norms["pans"] + norms["ce"])
    assert without.columns["text_gradient_share"] == pytest.approx(share_without, rel=1e-3)
    assert without.columns["text_limit"] == pytest.approx(1.0)
    assert 0.002 < values.columns["text_gradient_share"] <= 0.01 * (1 + 1e-4)
    text, held_text = loud - token, quiet - token
    assert 0 < held_text.norm() < text.norm()
    if share < 1:
        assert values.columns["text_gradient_share"] == pytest.approx(0.01, rel=1e-3)
        assert float(torch.cosine_similarity(held_text, text, dim=0)) == pytest.approx(1.0, abs=1e-3)
        assert values.columns["text_limit"] == pytest.approx(float(held_text.norm() / text.norm()), rel=1e-2)
        assert values.columns["text_limit"] == pytest.approx(norms["ce"] * (0.01 / 0.99) / norms["pans"], rel=1e-3)
    else:
        assert 0 < values.columns["text_limit"] < 1


def test_the_scale_of_earlier_steps_is_part_of_the_state(
    tiny_t5: Callable[..., DistillableModel], examples: list[Example], terms_of: Build
) -> None:
    student, plan, group = tiny_t5(1, 0.0, SIZES), plan_of("pans"), batches_of(examples, 4)
    _, whole = terms_of(plan)
    gradient(student, [whole], plan, group, step=1)
    _, restored = terms_of(plan)
    restored.restore(json.loads(json.dumps(whole.state())))
    _, first = terms_of(plan)
    _, expected = gradient(student, [whole], plan, group, step=2)
    _, continued = gradient(student, [restored], plan, group, step=2)
    _, alone = gradient(student, [first], plan, group, step=2)
    assert torch.equal(continued, expected)
    assert not torch.allclose(alone, expected, rtol=1e-3, atol=0), "the first step has only itself to measure by"
